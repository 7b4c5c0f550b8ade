# The stand-ins for libcublas and libcublasLt. The arithmetic lives in the second, as NVIDIA's does.
cuemu_unimplemented(${CMAKE_CURRENT_BINARY_DIR}/cublaslt_unimplemented.c
                    ${CMAKE_CURRENT_SOURCE_DIR}/cublas/unimplemented_cublaslt.txt)
cuemu_stand_in(cuemu_cublaslt cublasLt cublas
    cublas/blas.c
    cublas/epilogue.c
    cublas/gemm_core.c
    cublas/gemm_run.c
    cublas/lt_info.c
    cublas/lt_matmul.c
    cublas/lt_object.c
    cublas/lt_plan.c
    cublas/matrix.c
    ${CMAKE_CURRENT_BINARY_DIR}/cublaslt_unimplemented.c
)
target_link_libraries(cuemu_cublaslt PRIVATE cuemu_cudart m)
set_source_files_properties(cublas/gemm_core.c PROPERTIES COMPILE_OPTIONS -O3)

cuemu_unimplemented(${CMAKE_CURRENT_BINARY_DIR}/cublas_unimplemented.c
                    ${CMAKE_CURRENT_SOURCE_DIR}/cublas/unimplemented_cublas.txt)
cuemu_stand_in(cuemu_cublas cublas cublas
    cublas/gemm.c
    cublas/handle.c
    cublas/vector.c
    ${CMAKE_CURRENT_BINARY_DIR}/cublas_unimplemented.c
)
target_link_libraries(cuemu_cublas PRIVATE cuemu_cublaslt cuemu_cudart m)
