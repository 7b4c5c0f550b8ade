/* block.cuh: what the kernels of a block share: dropout's factors, where f' is taken from, row vectors that a block of
 * threads reads once, and the last steps of forward and the first of backward for some neighbouring columns. The
 * definitions are in kernels/ops.h, bpi_block_spec; element by element they are computed as the cpu backend does. */
#ifndef BPI_CUDA_BLOCK_CUH
#define BPI_CUDA_BLOCK_CUH

#include "kernels/cuda/pass.cuh"
#include "kernels/math/activation_of.h"
#include "kernels/math/philox.h"

/* ---- types ----
 *
 * Of a block's arrays, U is the type of u, a and out, and T that of skips and error terms. U is the wider one in the
 * last layer of a network in bf16. Four neighbouring elements are one access in either, 16 bytes or 8, so that a thread
 * has one Philox block of dropout in each row; of 8 bytes it has twice as many rows on their way. */
template <int W, typename U, typename T> __host__ __device__ constexpr int block_rows()
{
    return W > 1 && sizeof(U) == 2 && sizeof(T) == 2 ? 2 * BPI_CUDA_BLOCK_ROWS : BPI_CUDA_BLOCK_ROWS;
}

/* What a kernel is a template over. */
template <int W, typename U, typename T> struct block_kind {
    static constexpr int width = W;
    using output = U;
    using error = T;
};

/* launch(kind) with the kind for a call; what the launch returned. `type` is that of the activation arrays. */
template <int W, typename Launch> static inline cudaError_t for_types(bpi_type type, bool wide, Launch launch)
{
    if (type != BPI_TYPE_BF16)
        launch(block_kind<W, float, float>{});
    else if (wide)
        launch(block_kind<W, float, bpi_cuda_bf16>{});
    else
        launch(block_kind<W, bpi_cuda_bf16, bpi_cuda_bf16>{});
    return cudaGetLastError();
}

template <typename Launch> static inline cudaError_t for_kind(int width, bpi_type type, bool wide, Launch launch)
{
    return width == 4 ? for_types<4>(type, wide, launch) : for_types<1>(type, wide, launch);
}

/* visit(k, i) for each of ROWS times W elements, in a loop that is unrolled. */
template <int W, int ROWS, typename Visit> __device__ __forceinline__ void for_cells(Visit visit)
{
#pragma unroll
    for (int k = 0; k < ROWS; ++k)
#pragma unroll
        for (int i = 0; i < W; ++i)
            visit(k, i);
}

/* ---- dropout ---- */

struct dropout_scalars {
    bpi_dropout_key key;
    uint32_t threshold;
    float kept; /* 1 / (1 - p); 0: nothing is dropped */
};

static inline dropout_scalars dropout_of(const bpi_block_spec &spec, const bpi_dropout_key &key, bool drops)
{
    dropout_scalars d = {key, 0, 0.0f};
    const double p = (double)spec.dropout;
    if (drops && p > 0.0) {
        d.threshold = (uint32_t)(p * 0x1p32);
        d.kept = (float)(1.0 / (1.0 - p));
    }
    return d;
}

/* The stream of this step and layer. Lane 0 reads the step for its warp, all lanes of which call it. */
__device__ __forceinline__ uint64_t dropout_stream(const dropout_scalars &d)
{
    if (!(d.kept > 0.0f))
        return 0;
    const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
    const long long mine = thread % BPI_CUDA_WARP == 0 ? d.key.state->step : 0;
    return (uint64_t)__shfl_sync(0xffffffffu, mine, 0) << 16 | d.key.layer;
}

/* One bit for each of W neighbouring elements, the lowest for the first: 1 where it is kept. With W = 4 one Philox
 * block. Called in loops that are not unrolled: bits take no room, and its ten rounds stand in a kernel once. */
template <int W>
__device__ __forceinline__ uint32_t kept_bits(const dropout_scalars &d, uint64_t stream, int64_t row, int64_t o,
                                              int64_t cols)
{
    const uint64_t index = (uint64_t)(d.key.first_row + row) * (uint64_t)((cols + 3) / 4) + (uint64_t)o / 4;
    const bpi_philox_block block = bpi_philox(d.key.seed, stream, index);
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i)
        bits |= block.word[i] >= d.threshold ? 1u << i : 0u;
    return W == 4 ? bits : bits >> o % 4 & 1u;
}

/* The same for ROWS rows first, first + step, ..., W bits a row. */
template <int W, int ROWS>
__device__ __forceinline__ uint32_t kept_rows(const dropout_scalars &d, uint64_t stream, int64_t first, int64_t step,
                                              int64_t o, int64_t cols)
{
    uint32_t kept = 0;
#pragma unroll 1
    for (int k = 0; d.kept > 0.0f && k < ROWS; ++k)
        kept |= kept_bits<W>(d, stream, first + k * step, o, cols) << W * k;
    return kept;
}

/* A dropped element is 0 also where it is NaN, in which a product would end. */
template <int W> __device__ __forceinline__ void drop(const dropout_scalars &d, uint32_t kept, bpi_cuda_cells<W> &cells)
{
#pragma unroll
    for (int i = 0; i < W; ++i) {
        const float product = cells.v[i] * d.kept;
        cells.v[i] = kept >> i & 1u ? product : 0.0f;
    }
}

/* ---- activations ----
 *
 * Kernels are templates over the types, and choose the activation while they run: one jump for all elements that a
 * thread has in flight, in passes that are bound by memory. As templates over the activation as well they were measured
 * to move the same bytes out of about the same registers (f32, sm_75: block_forward 51 to 71, instead of 61 and 67;
 * block_backward 45 to 93, instead of 70 to 92; layer_norm and layer_norm_grad 107 to 128, instead of 105 and 128), to
 * compile for 63 s instead of 18 for each architecture, and to be 24 MB of machine code there instead of 9. */

/* cells = f(cells) */
template <int W, int ROWS>
__device__ __forceinline__ void activate(const bpi_block_spec &spec, bpi_cuda_cells<W> (&cells)[ROWS])
{
    switch (spec.activation) {
#define ACTIVATE_CASE(ENUM, name, saves_z)                                                                             \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        for_cells<W, ROWS>([&](int k, int i) {                                                                         \
            cells[k].v[i] = bpi_activation_value_of(BP_ACTIVATION_##ENUM, spec.slope, cells[k].v[i]);                  \
        });                                                                                                            \
        break;
        BP_ACTIVATION_LIST(ACTIVATE_CASE)
#undef ACTIVATE_CASE
    default:
        break;
    }
}

/* error *= f'(saved) */
template <int W, int ROWS>
__device__ __forceinline__ void derive(const bpi_block_spec &spec, const bpi_cuda_cells<W> (&saved)[ROWS],
                                       bpi_cuda_cells<W> (&error)[ROWS])
{
    switch (spec.activation) {
#define DERIVE_CASE(ENUM, name, saves_z)                                                                               \
    case BP_ACTIVATION_##ENUM:                                                                                         \
        for_cells<W, ROWS>([&](int k, int i) {                                                                         \
            error[k].v[i] *= bpi_activation_grad_of(BP_ACTIVATION_##ENUM, spec.slope, saved[k].v[i]);                  \
        });                                                                                                            \
        break;
        BP_ACTIVATION_LIST(DERIVE_CASE)
#undef DERIVE_CASE
    default:
        break;
    }
}

/* Where f' is taken from. After a norm, y is one fmaf away from xhat, which is wanted anyway: the activations for which
 * y says as much as a do not read a. */
enum derivative_source { FROM_NOTHING, FROM_A, FROM_ARGUMENT };

static inline derivative_source derivative_source_of(bp_activation activation, bool norm)
{
    const bool piecewise_linear = activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU;
    if (activation == BP_ACTIVATION_IDENTITY)
        return FROM_NOTHING;
    return bpi_activation_saves_z(activation) || (norm && piecewise_linear) ? FROM_ARGUMENT : FROM_A;
}

/* ---- what is read ---- */

/* Columns o .. of a row vector or of a row, 0 where there is none. */
template <int W> __device__ __forceinline__ bpi_cuda_cells<W> read_vector(const void *vector, int64_t o, int64_t cols)
{
    bpi_cuda_cells<W> none = {};
    return vector ? read_cells<W>(static_cast<const float *>(vector), o, cols) : none;
}

template <int W, typename T>
__device__ __forceinline__ bpi_cuda_stored<W, T> read_row(const bpi_matrix &matrix, int64_t row, int64_t o,
                                                          int64_t cols)
{
    bpi_cuda_stored<W, T> none = {};
    return matrix.data ? read_stored<W>(row_of<T>(matrix, row), o, cols) : none;
}

/* u is what the product left: the bias is still to come. Without one nothing is added, so that -0 stays. */
template <int W>
__device__ __forceinline__ void add_bias(bpi_cuda_cells<W> &u, const void *bias, const bpi_cuda_cells<W> &shift)
{
#pragma unroll
    for (int i = 0; i < W; ++i)
        u.v[i] = bias ? u.v[i] + shift.v[i] : u.v[i];
}

/* N row vectors for the columns of a thread, each read once by the block: group n reads vector n, `read(n)`, and all
 * take it from shared memory. A block has 8 groups or more. All of its threads call it; neighbouring threads write
 * neighbouring banks, and groups read the same words. */
template <int W, int N, typename Read>
__device__ __forceinline__ void share_vectors(Read read, bpi_cuda_cells<W> (&cells)[N])
{
    static_assert(N <= BPI_CUDA_THREADS / BPI_CUDA_WARP, "a group for every vector");
    __shared__ __align__(16) float staged[N * BPI_CUDA_WARP * W];
    const int lanes = (int)blockDim.x, lane = (int)threadIdx.x, group = (int)threadIdx.y;
    const int at = (group * lanes + lane) * W;
    if (group < N)
        write_cells<W>(staged, at, at + W, read(group));
    __syncthreads();
#pragma unroll
    for (int n = 0; n < N; ++n) {
        const int from = (n * lanes + lane) * W;
        cells[n] = read_cells<W>(staged, from, from + W);
    }
}

/* The first N of these, columns o .. of a bpi_cuda_pass. NULL: 0. */
template <int W, int N, int M>
__device__ __forceinline__ void read_vectors(const void *const (&vectors)[M], int64_t o, int64_t cols,
                                             bpi_cuda_cells<W> (&cells)[N])
{
    static_assert(N <= M, "vectors to read");
    share_vectors<W>(
        [&](int group) {
            const void *mine = nullptr;
#pragma unroll
            for (int n = 0; n < N; ++n)
                mine = group == n ? vectors[n] : mine;
            return read_vector<W>(mine, o, cols);
        },
        cells);
}

/* ---- norm ---- */

/* u to xhat, in place. */
template <int W>
__device__ __forceinline__ void normalise(bpi_cuda_cells<W> &u, const bpi_cuda_cells<W> &mean,
                                          const bpi_cuda_cells<W> &inv_std)
{
#pragma unroll
    for (int i = 0; i < W; ++i)
        u.v[i] = (u.v[i] - mean.v[i]) * inv_std.v[i];
}

/* y = gamma xhat + beta */
template <int W>
__device__ __forceinline__ bpi_cuda_cells<W> argument_of(const bpi_cuda_cells<W> &xhat, const bpi_cuda_cells<W> &gamma,
                                                         const bpi_cuda_cells<W> &beta)
{
    bpi_cuda_cells<W> y;
#pragma unroll
    for (int i = 0; i < W; ++i)
        y.v[i] = bpi_fmaf(gamma.v[i], xhat.v[i], beta.v[i]);
    return y;
}

/* ---- forward ---- */

struct forward_work {
    bpi_block_args args;
    dropout_scalars drop;
    bool writes_a, writes_out;
    int64_t slice_rows;
};

/* a stays where it is only if it is u, untouched. */
static inline forward_work forward_work_of(const bpi_block_args &args, int64_t slice_rows)
{
    forward_work work = {args, dropout_of(args.spec, args.key, args.training), true, true, slice_rows};
    const bool is_u = args.spec.norm == BP_NORM_NONE && !args.bias && args.spec.activation == BP_ACTIVATION_IDENTITY;
    work.writes_a = !(is_u && args.a.data == args.u.data);
    work.writes_out = args.out.data != args.a.data;
    return work;
}

/* From a on: dropout, skip. */
template <int W, typename U, typename T>
__device__ __forceinline__ void put_outputs(const forward_work &work, int64_t row, int64_t o, uint32_t kept,
                                            bpi_cuda_cells<W> cells, const bpi_cuda_stored<W, T> &skip)
{
    const bpi_block_args &args = work.args;
    const int64_t cols = args.u.cols;
    if (work.writes_a)
        write_cells<W>(row_to<U>(args.a, row), o, cols, cells);
    if (!work.writes_out)
        return;
    if (work.drop.kept > 0.0f)
        drop<W>(work.drop, kept, cells);
    if (args.skip.data)
#pragma unroll
        for (int i = 0; i < W; ++i)
            cells.v[i] += skip.at(i);
    write_cells<W>(row_to<U>(args.out, row), o, cols, cells);
}

/* ---- backward ---- */

struct backward_work {
    bpi_block_grad_args args;
    dropout_scalars drop;
    derivative_source source;
    float *partials; /* of the column sums; NULL: not wanted */
    float *means[2]; /* batch norm: over the rows, of dL/dy xhat and of dL/dy */
    int64_t sums_ld, slice_rows;
};

static inline backward_work backward_work_of(const bpi_block_grad_args &args, int64_t slice_rows)
{
    backward_work work = {args, dropout_of(args.spec, args.key, true)};
    work.source = derivative_source_of(args.spec.activation, args.spec.norm != BP_NORM_NONE);
    work.sums_ld = bpi_cuda_sums_ld(args.u.cols);
    work.slice_rows = slice_rows;
    return work;
}

__device__ __forceinline__ void put_gradient(void *gradient, int64_t o, bool accumulate, float value)
{
    float *at = static_cast<float *>(gradient) + o;
    *at = accumulate ? *at + value : value;
}

/* dL/d out of a row's columns, with what skips add to it. */
template <int W, typename T>
__device__ __forceinline__ bpi_cuda_cells<W> read_error(const bpi_block_grad_args &args, int64_t row, int64_t o)
{
    bpi_cuda_cells<W> error = cells_of(read_row<W, T>(args.d_out, row, o, args.u.cols));
    if (args.d_out_skip.data) {
        const bpi_cuda_stored<W, T> more = read_row<W, T>(args.d_out_skip, row, o, args.u.cols);
#pragma unroll
        for (int i = 0; i < W; ++i)
            error.v[i] += more.at(i);
    }
    return error;
}

/* On to the block that this one's skip comes from. */
template <int W, typename T>
__device__ __forceinline__ void pass_on(const bpi_block_grad_args &args, int64_t row, int64_t o,
                                        bpi_cuda_cells<W> error)
{
    if (!args.d_skip.data)
        return;
    if (args.d_skip_accumulate) {
        const bpi_cuda_stored<W, T> before = read_row<W, T>(args.d_skip, row, o, args.u.cols);
#pragma unroll
        for (int i = 0; i < W; ++i)
            error.v[i] = before.at(i) + error.v[i];
    }
    write_cells<W>(row_to<T>(args.d_skip, row), o, args.u.cols, error);
}

#endif
