/* expect: leak. A cuBLAS handle is never destroyed. */
#include "host.h"

void scenario(void)
{
    cublasHandle_t h;
    MUST(cublasCreate(&h)); /* FAULT */
#ifdef REPAIRED
    MUST(cublasDestroy(h));
#endif
}
