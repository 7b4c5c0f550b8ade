# The kernel fault corpus: one program that holds all scenarios, one test for each.
if(CUEMU_NVCC AND TARGET cuemu_cudart)
    file(GLOB CUEMU_KERNEL_FAULTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/faults/kernel_*.cu)
    set(OBJECTS)
    foreach(SOURCE ${CUEMU_KERNEL_FAULTS})
        cuemu_object(OBJECT ${SOURCE} "" 80)
        add_custom_command(OUTPUT ${OBJECT} APPEND DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/faults/kernel.h)
        list(APPEND OBJECTS ${OBJECT})
    endforeach()
    cuemu_program(cuemu_kernel_faults faults/kernel_main.c ${OBJECTS})
    target_link_libraries(cuemu_kernel_faults PRIVATE stdc++)
    target_link_options(cuemu_kernel_faults PRIVATE -rdynamic)
    foreach(SOURCE ${CUEMU_KERNEL_FAULTS})
        get_filename_component(NAME ${SOURCE} NAME_WE)
        add_test(NAME cuemu_fault_${NAME}
            COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/faults/check_kernel_fault.sh ${CUEMU_LIBRARY_DIR}
                    $<TARGET_FILE:cuemu_kernel_faults> ${SOURCE})
    endforeach()
endif()
