/* See matrix.h. */
#include "support/matrix.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- doubles on the host */

typedef struct node {
    struct node *next;
    _Alignas(long double) double values[];
} node;

static node *nodes; /* of this test: every test is a process of its own */

double *bpt_doubles(int64_t count)
{
    node *made = calloc(1, sizeof *made + (size_t)count * sizeof(double));
    cr_assert_not_null(made);
    made->next = nodes;
    nodes = made;
    return made->values;
}

long double *bpt_long_doubles(int64_t count)
{
    return (long double *)bpt_doubles(count * (int64_t)(sizeof(long double) / sizeof(double)));
}

void bpt_clean(void)
{
    while (nodes) {
        node *next = nodes->next;
        free(nodes);
        nodes = next;
    }
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Nearest, ties to even, from f32: what is cut off is half a unit and more, or exactly half and the kept part odd. */
static uint16_t bf16_of(double value)
{
    uint32_t bits = float_bits((float)value);
    if (isnan(value))
        return (uint16_t)((bits >> 16) | 0x0040u);
    uint32_t kept = bits >> 16, cut = bits & 0xffffu;
    return (uint16_t)(kept + (cut > 0x8000u || (cut == 0x8000u && (kept & 1u))));
}

double bpt_rounded(bpi_type type, double value)
{
    if (type == BPI_TYPE_F32)
        return (double)(float)value;
    if (type == BPI_TYPE_BF16)
        return (double)bits_float((uint32_t)bf16_of(value) << 16);
    return value;
}

double *bpt_uniform(bpt_random *random, bpi_type type, double low, double high, int64_t count)
{
    double *values = bpt_doubles(count);
    for (int64_t k = 0; k < count; ++k)
        values[k] = bpt_rounded(type, bpt_random_uniform(random, low, high));
    return values;
}

/* ---------------------------------------------------------------- on a device */

static void encode(bpi_type type, double value, unsigned char *element)
{
    float single = (float)value;
    uint16_t half = bf16_of(value);
    if (type == BPI_TYPE_F64)
        memcpy(element, &value, sizeof value);
    else if (type == BPI_TYPE_F32)
        memcpy(element, &single, sizeof single);
    else
        memcpy(element, &half, sizeof half);
}

static double decode(bpi_type type, const unsigned char *element)
{
    double value;
    float single;
    uint16_t half;
    if (type == BPI_TYPE_F64) {
        memcpy(&value, element, sizeof value);
        return value;
    }
    if (type == BPI_TYPE_F32) {
        memcpy(&single, element, sizeof single);
        return (double)single;
    }
    memcpy(&half, element, sizeof half);
    return (double)bits_float((uint32_t)half << 16);
}

/* The padding's element: a quiet NaN that no arithmetic makes, or zero. */
static void encode_padding(const bpt_matrix *matrix, unsigned char *element)
{
    uint64_t mark64 = 0x7ff8dead0000beefu;
    uint32_t mark32 = 0x7fc0beefu;
    uint16_t mark16 = 0x7fcb;
    if (matrix->zero_padded)
        memset(element, 0, bpi_type_bytes(matrix->type));
    else if (matrix->type == BPI_TYPE_F64)
        memcpy(element, &mark64, sizeof mark64);
    else if (matrix->type == BPI_TYPE_F32)
        memcpy(element, &mark32, sizeof mark32);
    else
        memcpy(element, &mark16, sizeof mark16);
}

static bpt_matrix make(bpt_device *device, bpi_type type, bool zero_padded, int64_t rows, int64_t cols, int64_t extra,
                       const double *values)
{
    int64_t alignment = device->backend->traits.alignment;
    bpt_matrix matrix = {.device = device, .type = type, .zero_padded = zero_padded};
    int64_t ld = (cols + alignment - 1) / alignment * alignment + extra * (zero_padded ? alignment : 1);
    matrix.view = (bpi_matrix){NULL, rows, cols, ld};
    matrix.bytes = (size_t)(rows * ld) * bpi_type_bytes(matrix.type);
    bp_status status = device->ops->allocate(device->backend, matrix.bytes, &matrix.view.data);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
    bpt_put(&matrix, values);
    return matrix;
}

bpt_matrix bpt_activations(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values)
{
    return make(device, device->backend->traits.activation_type, false, rows, cols, extra, values);
}

bpt_matrix bpt_parameters(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values)
{
    return make(device, device->backend->traits.parameter_type, true, rows, cols, extra, values);
}

bpt_matrix bpt_weights(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values)
{
    return make(device, device->backend->traits.weight_type, true, rows, cols, extra, values);
}

bpt_matrix bpt_wide(bpt_device *device, int64_t rows, int64_t cols, int64_t extra, const double *values)
{
    return make(device, device->backend->traits.parameter_type, false, rows, cols, extra, values);
}

void bpt_put(const bpt_matrix *matrix, const double *values)
{
    size_t size = bpi_type_bytes(matrix->type);
    unsigned char *image = malloc(matrix->bytes);
    cr_assert_not_null(image);
    double unwritten = (double)NAN;
    for (int64_t b = 0; b < matrix->view.rows; ++b)
        for (int64_t o = 0; o < matrix->view.ld; ++o) {
            unsigned char *element = image + (size_t)(b * matrix->view.ld + o) * size;
            if (o >= matrix->view.cols)
                encode_padding(matrix, element);
            else
                encode(matrix->type, values ? values[b * matrix->view.cols + o] : unwritten, element);
        }
    bpt_device *device = matrix->device;
    bp_status status = device->ops->upload(device->backend, image, matrix->bytes, matrix->view.data);
    free(image);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
}

double *bpt_get(const bpt_matrix *matrix)
{
    size_t size = bpi_type_bytes(matrix->type);
    unsigned char *image = malloc(matrix->bytes);
    cr_assert_not_null(image);
    bpt_download(matrix->device, matrix->view.data, matrix->bytes, image);
    double *values = bpt_doubles(matrix->view.rows * matrix->view.cols);
    unsigned char padding[8];
    encode_padding(matrix, padding);
    int64_t touched = 0;
    for (int64_t b = 0; b < matrix->view.rows; ++b)
        for (int64_t o = 0; o < matrix->view.ld; ++o) {
            const unsigned char *element = image + (size_t)(b * matrix->view.ld + o) * size;
            if (o < matrix->view.cols)
                values[b * matrix->view.cols + o] = decode(matrix->type, element);
            else
                touched += memcmp(element, padding, size) != 0;
        }
    free(image);
    cr_assert_eq(touched, 0, "%s: wrote %lld elements of the padding of a [%lld,%lld] matrix with ld %lld",
                 matrix->device->target->name, (long long)touched, (long long)matrix->view.rows,
                 (long long)matrix->view.cols, (long long)matrix->view.ld);
    return values;
}

void bpt_release(bpt_matrix *matrix)
{
    matrix->device->ops->release(matrix->device->backend, matrix->view.data, matrix->bytes);
    matrix->view.data = NULL;
}

void bpt_reserve(bpt_device *device, int64_t rows, int64_t cols, int64_t parameters)
{
    int64_t alignment = device->backend->traits.alignment;
    int64_t ld = (cols + alignment - 1) / alignment * alignment;
    bpi_linear_spec spec = {.rows = rows,
                            .inputs = 1,
                            .outputs = cols,
                            .ld_x = alignment,
                            .ld_w = alignment,
                            .ld_a = ld,
                            .ld_d_x = alignment,
                            .ld_delta = ld,
                            .bias = true,
                            .gradients = true};
    bpi_workspace workspace = device->ops->workspace_bytes(device->backend, &spec, parameters);
    bp_status status = device->ops->reserve(device->backend, workspace);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
}

void *bpt_upload(bpt_device *device, const void *bytes, size_t size)
{
    void *memory = NULL;
    bp_status status = device->ops->allocate(device->backend, size, &memory);
    if (status == BP_STATUS_OK)
        status = device->ops->upload(device->backend, bytes, size, memory);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
    return memory;
}

void bpt_download(bpt_device *device, const void *memory, size_t size, void *bytes)
{
    bp_status status = device->ops->download(device->backend, memory, size, bytes);
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s", device->target->name, device->error.text);
}
