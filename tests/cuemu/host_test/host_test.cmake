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

# cuemu_object(out source words...): nvcc's object with line numbers and plain PTX. A word that is a number is an
# architecture, any other a macro to define.
function(cuemu_object OUT SOURCE)
    get_filename_component(NAME ${SOURCE} NAME_WE)
    string(JOIN "_" SUFFIX ${ARGN})
    string(REPLACE "=" "_" SUFFIX "${SUFFIX}")
    set(OBJECT ${CMAKE_CURRENT_BINARY_DIR}/cuda/${NAME}_${SUFFIX}.o)
    set(CODE)
    foreach(WORD ${ARGN})
        if(WORD MATCHES "^[0-9]+$")
            list(APPEND CODE -gencode arch=compute_${WORD},code=compute_${WORD})
        else()
            list(APPEND CODE -D${WORD})
        endif()
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

# cuemu_batch(source files...): a source that includes many, each in a namespace of its own: of the two seconds that nvcc
# takes for a small file nearly all goes into CUDA's headers. `scenario` is scenario_NAME in each.
function(cuemu_batch SOURCE)
    set(HEADERS)
    set(TEXT)
    foreach(FILE ${ARGN})
        get_filename_component(NAME ${FILE} NAME_WE)
        file(STRINGS ${FILE} INCLUDES REGEX "^#include ")
        list(APPEND HEADERS ${INCLUDES})
        string(APPEND TEXT "#define scenario scenario_${NAME}\nnamespace of_${NAME} {\n#include \"${FILE}\"\n}\n"
                           "#undef scenario\n")
    endforeach()
    list(REMOVE_DUPLICATES HEADERS)
    list(JOIN HEADERS "\n" HEADERS)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
    file(CONFIGURE OUTPUT ${SOURCE} CONTENT "${HEADERS}\n${TEXT}" @ONLY)
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
        cuemu_object(FIRST ${CMAKE_CURRENT_SOURCE_DIR}/host_test/ordinary.cu ${ARCH})
        cuemu_object(SECOND ${CMAKE_CURRENT_SOURCE_DIR}/host_test/ordinary_second.cu ${ARCH})
        cuemu_program(cuemu_test_ordinary_${ARCH} host_test/test_ordinary.c ${FIRST} ${SECOND})
        target_link_libraries(cuemu_test_ordinary_${ARCH} PRIVATE ${CRITERION_LIBRARY} stdc++)
        cuemu_modes(ordinary_${ARCH} cuemu_test_ordinary_${ARCH})
    endforeach()
    add_test(NAME cuemu_ordinary_on_nvidia COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_nvidia.sh
                                                   $<TARGET_FILE:cuemu_test_ordinary_75>)
endif()

# What our CUDA objects import and what NVIDIA exports, against what cuemu has.
if(CUEMU_REAL_CUDART AND CUEMU_NVCC)
    set(CUEMU_PLUGINS)
    if(TARGET backprop_cuda)
        set(CUEMU_PLUGINS $<TARGET_FILE:backprop_cuda>)
    endif()
    add_test(NAME cuemu_exports COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_exports.sh
        ${CUEMU_LIBRARY_DIR} ${CUEMU_REAL_CUDART} ${CUEMU_REAL_CUBLAS} ${CUEMU_REAL_CUBLASLT}
        ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/cuda ${CUEMU_PLUGINS})
endif()

# The tool and the hard errors.
cuemu_program(cuemu_tool_program host_test/tool_program.c)
add_test(NAME cuemu_tool COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/host_test/check_tool.sh $<TARGET_FILE:cuemu_run>
                                 $<TARGET_FILE:cuemu_tool_program>)
