# kernels/math: loops per instruction set, their machine code, and the headers under nvcc.
include(${CMAKE_CURRENT_SOURCE_DIR}/math/loops.cmake)
target_link_libraries(test_math_isa PRIVATE math_loops)

find_program(BP_OBJDUMP objdump)
if(BP_SANITIZE)
    message(STATUS "math_vectorised: not tested, sanitizers keep loops from vectorising")
elseif(NOT BP_OBJDUMP OR NOT TARGET math_loops_avx2)
    message(STATUS "math_vectorised: not tested, needs objdump and x86-64")
else()
    foreach(CASE base:xmm avx2:ymm avx512:zmm)
        string(REPLACE ":" ";" PARTS ${CASE})
        list(GET PARTS 0 ISA)
        list(GET PARTS 1 REGISTER)
        add_test(NAME math_vectorised_${ISA}
                 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/math/check_vectorised.sh ${BP_OBJDUMP}
                         $<TARGET_OBJECTS:math_loops_${ISA}> ${REGISTER})
    endforeach()
endif()

find_program(BP_NVCC nvcc PATHS /usr/local/cuda/bin)
if(BP_SANITIZE OR NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    message(STATUS "math_cuda_headers: tested in the optimised build alone: nvcc says the same in all")
elseif(BP_NVCC)
    add_test(NAME math_cuda_headers
             COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/math/check_cuda.sh ${BP_NVCC} ${CMAKE_SOURCE_DIR}
                     ${CMAKE_CURRENT_BINARY_DIR}/math_cuda)
else()
    message(STATUS "math_cuda_headers: not tested, nvcc was not found")
endif()
target_sources(test_math_activation PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/math/activations.c)
