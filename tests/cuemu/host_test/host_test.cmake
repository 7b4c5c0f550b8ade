# Tests of the host side. Programs are linked to NVIDIA's libraries where the toolkit has them, as any program is, and
# run on the stand-ins by cuemu-run: a report in any process fails the test, which Criterion alone would not notice.
find_library(CUEMU_REAL_CUDART NAMES libcudart.so.13 HINTS /usr/local/cuda/lib64)
find_library(CUEMU_REAL_CUBLAS NAMES libcublas.so.13 HINTS /usr/local/cuda/lib64)
find_library(CUEMU_REAL_CUBLASLT NAMES libcublasLt.so.13 HINTS /usr/local/cuda/lib64)

function(cuemu_program TARGET)
    add_executable(${TARGET} ${ARGN})
    target_compile_definitions(${TARGET} PRIVATE CUEMU_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
    target_include_directories(${TARGET} SYSTEM PRIVATE ${CUEMU_CUDA_INCLUDE})
    # a call that the compiler turned into a jump leaves no return address to name the place by
    target_compile_options(${TARGET} PRIVATE -g -fno-optimize-sibling-calls)
    if(CUEMU_REAL_CUDART AND CUEMU_REAL_CUBLAS AND CUEMU_REAL_CUBLASLT)
        target_link_libraries(${TARGET} PRIVATE cuemu_options ${CUEMU_REAL_CUBLAS} ${CUEMU_REAL_CUBLASLT}
                                                ${CUEMU_REAL_CUDART})
        add_dependencies(${TARGET} cuemu_cudart cuemu_cublas cuemu_cublaslt)
    else()
        target_link_libraries(${TARGET} PRIVATE cuemu_options cuemu_cublas cuemu_cublaslt cuemu_cudart)
    endif()
    target_link_libraries(${TARGET} PRIVATE ${CMAKE_DL_LIBS} m)
endfunction()

# cuemu_object(out source definition architectures...): nvcc's object with plain PTX of each architecture and line
# numbers; definition may be empty.
function(cuemu_object OUT SOURCE DEFINITION)
    get_filename_component(NAME ${SOURCE} NAME_WE)
    string(JOIN "_" SUFFIX ${ARGN})
    set(OBJECT ${CMAKE_CURRENT_BINARY_DIR}/cuda/${NAME}${DEFINITION}_${SUFFIX}.o)
    set(CODE)
    if(DEFINITION)
        set(CODE -D${DEFINITION})
    endif()
    foreach(ARCH ${ARGN})
        list(APPEND CODE -gencode arch=compute_${ARCH},code=compute_${ARCH})
    endforeach()
    add_custom_command(OUTPUT ${OBJECT} DEPENDS ${SOURCE} ${CMAKE_CURRENT_SOURCE_DIR}/host_test/ordinary.h
                       ${CMAKE_CURRENT_SOURCE_DIR}/faults/host.h
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/cuda
        COMMAND ${CUEMU_NVCC} -std=c++17 -g -O2 -lineinfo --no-compress ${CODE} -Werror all-warnings
                -I${CMAKE_CURRENT_SOURCE_DIR} -I${CMAKE_CURRENT_SOURCE_DIR}/faults -c ${SOURCE} -o ${OBJECT}
        VERBATIM)
    set_source_files_properties(${OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    set(${OUT} ${OBJECT} PARENT_SCOPE)
endfunction()

# cuemu_modes(name target): one ctest entry per mode of streams and threads.
function(cuemu_modes NAME TARGET)
    foreach(MODE "eager reverse" "lazy forward" "random random")
        separate_arguments(MODE)
        list(GET MODE 0 STREAMS)
        list(GET MODE 1 ORDER)
        add_test(NAME cuemu_${NAME}_${STREAMS} COMMAND cuemu_run --quiet --streams ${STREAMS} --order ${ORDER}
                                                       $<TARGET_FILE:${TARGET}> -j1)
        set_tests_properties(cuemu_${NAME}_${STREAMS} PROPERTIES TIMEOUT 300)
    endforeach()
endfunction()

file(GLOB CUEMU_HOST_TESTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/host_test/test_*.c)
list(FILTER CUEMU_HOST_TESTS EXCLUDE REGEX "test_ordinary.c$")
foreach(FILE ${CUEMU_HOST_TESTS})
    get_filename_component(NAME ${FILE} NAME_WE)
    cuemu_program(cuemu_${NAME} ${FILE})
    target_link_libraries(cuemu_${NAME} PRIVATE ${CRITERION_LIBRARY})
    cuemu_modes(${NAME} cuemu_${NAME})
endforeach()

# Ordinary CUDA, as each architecture's PTX; and with NVIDIA's libraries, where it must say that there is no device.
if(CUEMU_NVCC)
    foreach(ARCH 75 80 86 90 100)
        cuemu_object(FIRST ${CMAKE_CURRENT_SOURCE_DIR}/host_test/ordinary.cu "" ${ARCH})
        cuemu_object(SECOND ${CMAKE_CURRENT_SOURCE_DIR}/host_test/ordinary_second.cu "" ${ARCH})
        cuemu_program(cuemu_test_ordinary_${ARCH} host_test/test_ordinary.c ${FIRST} ${SECOND})
        target_link_libraries(cuemu_test_ordinary_${ARCH} PRIVATE ${CRITERION_LIBRARY} stdc++)
        cuemu_modes(ordinary_${ARCH} cuemu_test_ordinary_${ARCH})
    endforeach()
    add_test(NAME cuemu_ordinary_on_nvidia COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_nvidia.sh
                                                   $<TARGET_FILE:cuemu_test_ordinary_75>)
endif()

# The fault corpus: a report for each fault, silence for each repaired twin.
file(GLOB CUEMU_HOST_FAULTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/faults/host_*.c)
list(FILTER CUEMU_HOST_FAULTS EXCLUDE REGEX "host_main.c$")
function(cuemu_fault_pair SOURCE FAULTY REPAIRED)
    get_filename_component(NAME ${SOURCE} NAME_WE)
    cuemu_program(cuemu_fault_${NAME} faults/host_main.c ${FAULTY})
    cuemu_program(cuemu_fault_${NAME}_repaired faults/host_main.c ${REPAIRED})
    target_compile_definitions(cuemu_fault_${NAME}_repaired PRIVATE REPAIRED)
    if(SOURCE MATCHES "cu$")
        target_link_libraries(cuemu_fault_${NAME} PRIVATE stdc++)
        target_link_libraries(cuemu_fault_${NAME}_repaired PRIVATE stdc++)
    endif()
    add_test(NAME cuemu_fault_${NAME}
        COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/faults/check_host_fault.sh ${CUEMU_LIBRARY_DIR}
                $<TARGET_FILE:cuemu_fault_${NAME}> $<TARGET_FILE:cuemu_fault_${NAME}_repaired> ${SOURCE})
endfunction()
foreach(SOURCE ${CUEMU_HOST_FAULTS})
    cuemu_fault_pair(${SOURCE} ${SOURCE} ${SOURCE})
endforeach()
if(CUEMU_NVCC)
    file(GLOB CUEMU_LAUNCH_FAULTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/faults/host_*.cu)
    foreach(SOURCE ${CUEMU_LAUNCH_FAULTS})
        get_filename_component(NAME ${SOURCE} NAME_WE)
        cuemu_object(OBJECT ${SOURCE} "" 75)
        cuemu_object(REPAIRED ${SOURCE} REPAIRED 75)
        cuemu_fault_pair(${SOURCE} ${OBJECT} ${REPAIRED})
    endforeach()
endif()

# What our CUDA objects import and what NVIDIA exports, against what cuemu has.
if(CUEMU_REAL_CUDART AND CUEMU_NVCC)
    add_test(NAME cuemu_exports COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_exports.sh
        ${CUEMU_LIBRARY_DIR} ${CUEMU_REAL_CUDART} ${CUEMU_REAL_CUBLAS} ${CUEMU_REAL_CUBLASLT}
        ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/cuda)
endif()

# The tool and the hard errors.
cuemu_program(cuemu_tool_program host_test/tool_program.c)
add_test(NAME cuemu_tool COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_tool.sh $<TARGET_FILE:cuemu_run>
                                 $<TARGET_FILE:cuemu_tool_program>)
