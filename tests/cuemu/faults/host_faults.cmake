# The host-side fault corpus: a report for each fault, silence for each repaired twin. Two programs hold all scenarios,
# the faulty ones and the twins; the first argument chooses.
file(GLOB CUEMU_HOST_FAULTS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/faults/host_*.c
                                              ${CMAKE_CURRENT_SOURCE_DIR}/faults/host_*.cu)
list(FILTER CUEMU_HOST_FAULTS EXCLUDE REGEX "host_main.c$")
if(NOT CUEMU_NVCC)
    list(FILTER CUEMU_HOST_FAULTS EXCLUDE REGEX "[.]cu$")
endif()

set(DECLARATIONS)
set(ENTRIES)
set(SOURCES)
set(OBJECTS)
set(REPAIRED_OBJECTS)
foreach(SOURCE ${CUEMU_HOST_FAULTS})
    get_filename_component(NAME ${SOURCE} NAME_WE)
    string(APPEND DECLARATIONS "void scenario_${NAME}(void);\n")
    string(APPEND ENTRIES "    {\"${NAME}\", scenario_${NAME}},\n")
    if(SOURCE MATCHES "[.]cu$")
        cuemu_object(OBJECT ${SOURCE} 75 scenario=scenario_${NAME})
        list(APPEND OBJECTS ${OBJECT})
        cuemu_object(OBJECT ${SOURCE} 75 scenario=scenario_${NAME} REPAIRED)
        list(APPEND REPAIRED_OBJECTS ${OBJECT})
    else()
        set_source_files_properties(${SOURCE} PROPERTIES COMPILE_DEFINITIONS scenario=scenario_${NAME})
        list(APPEND SOURCES ${SOURCE})
    endif()
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/host_scenarios.h CONTENT
     "${DECLARATIONS}\nstatic const struct {\n    const char *name;\n    void (*run)(void);\n} scenarios[] = {\n${ENTRIES}};\n")

cuemu_program(cuemu_host_faults faults/host_main.c ${SOURCES} ${OBJECTS})
cuemu_program(cuemu_host_faults_repaired faults/host_main.c ${SOURCES} ${REPAIRED_OBJECTS})
target_compile_definitions(cuemu_host_faults_repaired PRIVATE REPAIRED)
foreach(TARGET cuemu_host_faults cuemu_host_faults_repaired)
    target_include_directories(${TARGET} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
    target_link_libraries(${TARGET} PRIVATE stdc++)
endforeach()

foreach(SOURCE ${CUEMU_HOST_FAULTS})
    get_filename_component(NAME ${SOURCE} NAME_WE)
    add_test(NAME cuemu_fault_${NAME}
        COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/faults/check_host_fault.sh ${CUEMU_LIBRARY_DIR}
                $<TARGET_FILE:cuemu_host_faults> $<TARGET_FILE:cuemu_host_faults_repaired> ${SOURCE})
endforeach()
