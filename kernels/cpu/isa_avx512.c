/* isa_avx512.c: the loops for AVX-512 F, BW, DQ and VL (x86-64-v4), with registers of 512 bits. Flags: CMakeLists.txt.
 */
#define BPI_CPU_TABLE bpi_cpu_loops_avx512
#define BPI_CPU_ISA_NAME "AVX-512"
#include "kernels/cpu/loops_table.h"
