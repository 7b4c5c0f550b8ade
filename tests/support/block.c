/* See block.h. */
#include "support/block.h"
#include "kernels/math/philox.h"
#include "support/linear.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

bool bpt_has_blocks(const bpt_device *device, const char *test)
{
    bool has = device->ops->block_forward && device->ops->block_backward;
    if (!has)
        fprintf(stderr, "[WARN] %s: %s has no block_forward and block_backward: not tested\n", test,
                device->target->name);
    return has;
}

bpt_block bpt_block_way(int way, bpt_shape shape, bp_activation activation)
{
    int rest = way / 3;
    bool drops = rest & 1, skips = rest & 2, other = rest & 4;
    bpt_block block = {.rows = shape.rows, .cols = shape.outputs, .skip = skips};
    block.spec = (bpi_block_spec){.activation = activation,
                                  .slope = bpt_slope,
                                  .norm = (bp_norm)(way % 3),
                                  .norm_epsilon = 1e-5,
                                  .norm_momentum = other ? 0.25 : 0.1,
                                  .dropout = drops ? (other ? 0.5f : 0.3f) : 0.0f};
    block.in_place = other != drops;
    block.keeps_running = way % 7 == 6;
    block.wide = rest == 3 || rest == 6;
    block.d_out_skip = other;
    block.d_skip_added = other != drops;
    block.accumulate = other != skips;
    block.no_bias = way % 5 == 4;
    block.seed = UINT64_C(0x9876543210fedcba) + (uint64_t)way;
    block.layer = (uint64_t)way * 2731; /* up to nearly 2^16 */
    block.step = way % 4 == 3 ? (INT64_C(1) << 34) + way : way;
    block.first_row = way % 3 == 1 ? 0 : way * 1000;
    block.extra = way % 2;
    block.starts_anywhere = rest == 1 || rest == 4 || rest == 6;
    return block;
}

bpt_block bpt_block_rounds(int way)
{
    bool in_registers = way == BP_NORM_LAYER;
    bpt_shape shape = in_registers ? (bpt_shape){517, 1, 1021} : (bpt_shape){41, 1, 8225};
    bpt_block block = bpt_block_way(way, shape, BP_ACTIVATION_RELU);
    block.in_place = true;
    block.starts_anywhere = !in_registers;
    block.extra = 1;
    return block;
}

int64_t bpt_block_groups(const bpt_block *block)
{
    return block->spec.norm == BP_NORM_NONE ? 0 : block->spec.norm == BP_NORM_BATCH ? block->cols : block->rows;
}

const char *bpt_block_words(const bpt_block *block)
{
    static const char *const norms[] = {"no norm", "batch norm", "layer norm"};
    static char words[192];
    snprintf(words, sizeof words, "%s, %s, dropout %g%s%s%s%s%s, B=%lld O=%lld", norms[block->spec.norm],
             bp_activation_name(block->spec.activation), (double)block->spec.dropout, block->skip ? ", skip" : "",
             block->evaluation ? ", evaluation" : "", block->wide ? ", wide" : "", block->in_place ? ", in place" : "",
             block->accumulate ? ", accumulate" : "", (long long)block->rows, (long long)block->cols);
    return words;
}

bpt_block_inputs bpt_block_random(const bpi_traits *traits, const bpt_block *block, uint64_t seed)
{
    bpt_random random = {seed};
    bpi_type a = traits->activation_type, p = traits->parameter_type, wide = block->wide ? p : a;
    int64_t cols = block->cols, count = block->rows * cols;
    bpt_block_inputs in = {
        .u = bpt_uniform(&random, wide, -4.0, 5.0, count),
        .gamma = bpt_uniform(&random, p, -1.5, 2.0, cols),
        .beta = bpt_uniform(&random, p, -1.0, 1.0, cols),
        .running_mean = bpt_uniform(&random, p, -1.0, 1.0, cols),
        .running_var = bpt_uniform(&random, p, 0.5, 9.0, cols),
        .skip = bpt_uniform(&random, a, -2.0, 2.0, count),
        .d_out = bpt_uniform(&random, a, -1.0, 1.0, count),
        .d_out_skip = bpt_uniform(&random, a, -1.0, 1.0, count),
        .d_skip = bpt_uniform(&random, a, -1.0, 1.0, count),
        .d_gamma = bpt_uniform(&random, p, -1.0, 1.0, cols),
        .d_beta = bpt_uniform(&random, p, -1.0, 1.0, cols),
        .d_b = bpt_uniform(&random, p, -1.0, 1.0, cols),
    };
    in.u[0] = in.gamma[0] = in.beta[0] = 0.75; /* one element that no activation takes to 0 */
    return in;
}

double bpt_block_factor(const bpt_block *block, int64_t b, int64_t o)
{
    double p = (double)block->spec.dropout;
    if (block->evaluation || !(p > 0.0))
        return 1.0;
    uint64_t index = (uint64_t)(block->first_row + b) * (uint64_t)((block->cols + 3) / 4) + (uint64_t)(o / 4);
    uint64_t stream = (uint64_t)block->step << 16 | block->layer;
    uint32_t threshold = (uint32_t)(p * 4294967296.0);
    return bpi_philox(block->seed, stream, index).word[o % 4] >= threshold ? 1.0 / (1.0 - p) : 0.0;
}

/* ---------------------------------------------------------------- on a device */

static bpi_dropout_key key_of(bpt_device *device, const bpt_block *block)
{
    bpi_step_state state = {.step = block->step};
    return (bpi_dropout_key){block->seed, block->layer, bpt_upload(device, &state, sizeof state), block->first_row};
}

static void release_key(bpt_device *device, bpi_dropout_key key)
{
    device->ops->release(device->backend, (void *)key.state, sizeof(bpi_step_state));
}

static bool reads_u_again(const bpi_block_spec *spec)
{
    return spec->norm != BP_NORM_NONE || bpi_activation_saves_z(spec->activation);
}

static bpi_matrix nothing_like(bpi_matrix view)
{
    view.data = NULL;
    return view;
}

/* u, a or out. */
static bpt_matrix outputs(bpt_device *device, const bpt_block *block, int64_t extra, const double *values)
{
    return (block->wide ? bpt_wide : bpt_activations)(device, block->rows, block->cols, extra, values);
}

/* Leading dimensions that differ from array to array. */
static int64_t extra_of(const bpt_device *device, const bpt_block *block, int64_t more)
{
    int64_t unit = block->starts_anywhere ? 1 : device->backend->traits.alignment;
    if (block->in_sectors)
        unit = 32 / (int64_t)bpi_type_bytes(device->backend->traits.activation_type);
    return (block->extra + more) * unit;
}

bpt_block_forward bpt_block_run_forward(bpt_device *device, const bpt_block *block, const bpt_block_inputs *in)
{
    int64_t rows = block->rows, cols = block->cols, groups = bpt_block_groups(block);
    bool norm = groups > 0, batch = block->spec.norm == BP_NORM_BATCH,
         running = batch && (!block->keeps_running || block->evaluation);
    bpt_matrix u = outputs(device, block, extra_of(device, block, 0), in->u);
    bpt_matrix a = outputs(device, block, extra_of(device, block, 1), NULL);
    bpt_matrix out = outputs(device, block, extra_of(device, block, 0), NULL);
    bpt_matrix skip = bpt_activations(device, rows, cols, extra_of(device, block, 2), in->skip);
    bpt_matrix bias = bpt_parameters(device, 1, cols, 1, in->bias);
    bpt_matrix gamma = bpt_parameters(device, 1, cols, 1, in->gamma),
               beta = bpt_parameters(device, 1, cols, 1, in->beta);
    bpt_matrix running_mean = bpt_parameters(device, 1, cols, 1, in->running_mean);
    bpt_matrix running_var = bpt_parameters(device, 1, cols, 1, in->running_var);
    bpt_matrix mean = bpt_parameters(device, 1, norm ? groups : 1, 1, NULL);
    bpt_matrix inv_std = bpt_parameters(device, 1, norm ? groups : 1, 1, NULL);
    const bpt_matrix *into_a = block->in_place && !reads_u_again(&block->spec) ? &u : &a;
    const bpt_matrix *into_out = block->in_place && block->spec.dropout == 0.0f && !block->skip ? into_a : &out;
    bpt_reserve(device, rows, cols, 1);
    bpi_block_args args = {
        .spec = block->spec,
        .training = !block->evaluation,
        .u = u.view,
        .bias = in->bias ? bias.view.data : NULL,
        .gamma = norm ? gamma.view.data : NULL,
        .beta = norm ? beta.view.data : NULL,
        .running_mean = running ? running_mean.view.data : NULL,
        .running_var = running ? running_var.view.data : NULL,
        .mean = norm ? mean.view.data : NULL,
        .inv_std = norm ? inv_std.view.data : NULL,
        .key = key_of(device, block),
        .skip = block->skip ? skip.view : nothing_like(skip.view),
        .a = into_a->view,
        .out = into_out->view,
        .wide = block->wide,
    };
    BPT_RUN(device, block_forward, &args);
    bpt_block_forward got = {bpt_get(&mean),        bpt_get(&inv_std), bpt_get(&running_mean),
                             bpt_get(&running_var), bpt_get(into_a),   bpt_get(into_out)};
    release_key(device, args.key);
    bpt_matrix *const all[] = {&u, &a, &out, &skip, &bias, &gamma, &beta, &running_mean, &running_var, &mean, &inv_std};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; ++k)
        bpt_release(all[k]);
    return got;
}

bpt_block_backward bpt_block_run_backward(bpt_device *device, const bpt_block *block, const bpt_block_inputs *in,
                                          const bpt_block_forward *saved)
{
    int64_t rows = block->rows, cols = block->cols, groups = bpt_block_groups(block);
    bool norm = groups > 0, adds = block->accumulate;
    /* Where u may have been a it holds nothing. */
    bpt_matrix u = outputs(device, block, extra_of(device, block, 0), reads_u_again(&block->spec) ? in->u : NULL);
    bpt_matrix a = outputs(device, block, extra_of(device, block, 1), saved->a);
    bpt_matrix d_out = bpt_activations(device, rows, cols, extra_of(device, block, 2), in->d_out);
    bpt_matrix d_out_skip = bpt_activations(device, rows, cols, extra_of(device, block, 0), in->d_out_skip);
    bpt_matrix d_skip =
        bpt_activations(device, rows, cols, extra_of(device, block, 1), block->d_skip_added ? in->d_skip : NULL);
    bpt_matrix other = bpt_activations(device, rows, cols, extra_of(device, block, 0), NULL);
    bpt_matrix bias = bpt_parameters(device, 1, cols, 1, in->bias);
    bpt_matrix gamma = bpt_parameters(device, 1, cols, 1, in->gamma),
               beta = bpt_parameters(device, 1, cols, 1, in->beta);
    bpt_matrix mean = bpt_parameters(device, 1, norm ? groups : 1, 1, norm ? saved->mean : NULL);
    bpt_matrix inv_std = bpt_parameters(device, 1, norm ? groups : 1, 1, norm ? saved->inv_std : NULL);
    bpt_matrix d_gamma = bpt_parameters(device, 1, cols, 1, adds ? in->d_gamma : NULL);
    bpt_matrix d_beta = bpt_parameters(device, 1, cols, 1, adds ? in->d_beta : NULL);
    bpt_matrix d_b = bpt_parameters(device, 1, cols, 1, adds ? in->d_b : NULL);
    const bpt_matrix *delta = block->in_place ? &d_out : &other;
    bpt_reserve(device, rows, cols, 1);
    bpi_block_grad_args args = {
        .spec = block->spec,
        .u = u.view,
        .a = a.view,
        .bias = in->bias ? bias.view.data : NULL,
        .gamma = norm ? gamma.view.data : NULL,
        .beta = norm ? beta.view.data : NULL,
        .mean = norm ? mean.view.data : NULL,
        .inv_std = norm ? inv_std.view.data : NULL,
        .key = key_of(device, block),
        .d_out = d_out.view,
        .d_out_skip = block->d_out_skip ? d_out_skip.view : nothing_like(d_out_skip.view),
        .d_skip = block->skip ? d_skip.view : nothing_like(d_skip.view),
        .d_skip_accumulate = block->d_skip_added,
        .delta = delta->view,
        .d_gamma = norm ? d_gamma.view.data : NULL,
        .d_beta = norm ? d_beta.view.data : NULL,
        .d_b = block->no_bias ? NULL : d_b.view.data,
        .accumulate = adds,
        .wide = block->wide,
    };
    BPT_RUN(device, block_backward, &args);
    bpt_block_backward got = {bpt_get(delta), bpt_get(&d_skip), bpt_get(&d_gamma), bpt_get(&d_beta), bpt_get(&d_b)};
    release_key(device, args.key);
    bpt_matrix *const all[] = {&bias,  &u,    &a,    &d_out,   &d_out_skip, &d_skip, &other,
                               &gamma, &beta, &mean, &inv_std, &d_gamma,    &d_beta, &d_b};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; ++k)
        bpt_release(all[k]);
    return got;
}
