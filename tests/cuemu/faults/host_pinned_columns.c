/* expect: pinned-early. A pending 2-D copy takes the left half of each row; the right half is the host's, the left not.
 */
#include "host.h"

void scenario(void)
{
    enum { ROWS = 50, COLS = 40, HALF = COLS / 2 };
    float *h = pinned_floats(ROWS * COLS), *a = device_floats(ROWS * HALF);
    cudaStream_t s = new_stream();
    MUST(
        cudaMemcpy2DAsync(a, HALF * sizeof *a, h, COLS * sizeof *h, HALF * sizeof *h, ROWS, cudaMemcpyHostToDevice, s));
    for (int row = 0; row < ROWS; row++)
        for (int col = HALF; col < COLS; col++)
            h[row * COLS + col] = 1;
#ifndef REPAIRED
    h[7 * COLS + HALF - 1] = 1; /* FAULT */
#endif
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
    MUST(cudaFree(a));
    MUST(cudaFreeHost(h));
}
