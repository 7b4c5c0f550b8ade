/* isa_avx2.c: the loops for AVX2 and FMA (x86-64-v3). Flags: CMakeLists.txt. */
#define BPI_CPU_TABLE bpi_cpu_loops_avx2
#define BPI_CPU_ISA_NAME "AVX2"
#include "kernels/cpu/loops_table.h"
