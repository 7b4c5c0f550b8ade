/* isa_baseline.c: the loops for what every machine of this architecture has. Flags: CMakeLists.txt. */
#define BPI_CPU_TABLE bpi_cpu_loops_baseline
#define BPI_CPU_ISA_NAME "baseline"
#include "kernels/cpu/loops_table.h"
