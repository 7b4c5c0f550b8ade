/* samples.c: see samples.h. */
#include "support/samples.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "support/sandbox.h"

void bpt_npy(const char *path, const char *descr, const char *fortran, const char *shape, const void *values,
             size_t bytes)
{
    char text[128];
    memset(text, ' ', sizeof text);
    memcpy(text, "\x93NUMPY\x01\x00\x76\x00", 10); /* 118 bytes of header follow */
    int length = snprintf(text + 10, sizeof text - 10, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", descr,
                          fortran, shape);
    cr_assert(length > 0 && length < 117);
    text[10 + length] = ' ';
    text[127] = '\n';
    char *file = calloc(sizeof text + bytes, 1);
    cr_assert(file);
    memcpy(file, text, sizeof text);
    memcpy(file + sizeof text, values, bytes);
    bpt_file_write(path, file, sizeof text + bytes);
    free(file);
}

void bpt_npy_f32(const char *path, const float *values, int64_t rows, int64_t cols)
{
    char shape[64];
    snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)rows, (long long)cols);
    bpt_npy(path, "<f4", "False", shape, values, (size_t)(rows * cols) * sizeof *values);
}

void bpt_npy_i64(const char *path, const int64_t *values, int64_t rows)
{
    char shape[64];
    snprintf(shape, sizeof shape, "(%lld,)", (long long)rows);
    bpt_npy(path, "<i8", "False", shape, values, (size_t)rows * sizeof *values);
}

/* A linear congruential generator (Knuth's constants): random enough for samples. */
static uint32_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 40);
}

static float *draw_x(int64_t rows, int64_t inputs)
{
    uint64_t state = 1;
    float *x = calloc((size_t)(rows * inputs), sizeof *x);
    cr_assert(x);
    for (int64_t i = 0; i < rows * inputs; i++)
        x[i] = (float)next(&state) * 0x1p-23f - 1.0f;
    return x;
}

/* Which of `classes` slices of [-1,1) the first input falls into, so that there is something to learn. */
static int64_t class_of(const float *row, int64_t classes)
{
    return (int64_t)((row[0] + 1.0f) * 0.5f * (float)classes);
}

void bpt_samples(const char *prefix, int64_t rows, int64_t inputs, int64_t classes)
{
    float *x = draw_x(rows, inputs), *v = calloc((size_t)rows * 2, sizeof *v);
    int64_t *y = calloc((size_t)rows, sizeof *y);
    char path[256];
    cr_assert(v && y);
    for (int64_t i = 0; i < rows; i++) {
        y[i] = class_of(x + i * inputs, classes);
        v[2 * i] = x[i * inputs] * 0.5f;
        v[2 * i + 1] = x[i * inputs] * x[i * inputs];
    }
    snprintf(path, sizeof path, "%sx.npy", prefix);
    bpt_npy_f32(path, x, rows, inputs);
    snprintf(path, sizeof path, "%sy.npy", prefix);
    bpt_npy_i64(path, y, rows);
    snprintf(path, sizeof path, "%sv.npy", prefix);
    bpt_npy_f32(path, v, rows, 2);
    free(y);
    free(v);
    free(x);
}

void bpt_samples_csv(const char *path, int64_t rows, int64_t inputs, int64_t classes)
{
    float *x = draw_x(rows, inputs);
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (int64_t c = 0; c < inputs; c++)
        fprintf(file, "c%lld,", (long long)c);
    fprintf(file, "target\n");
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < inputs; c++)
            fprintf(file, "%.9g,", (double)x[r * inputs + c]);
        fprintf(file, "%lld\n", (long long)class_of(x + r * inputs, classes));
    }
    cr_assert(fclose(file) == 0);
    free(x);
}

static void gz_write(const char *path, const void *head, size_t head_bytes, const void *body, size_t body_bytes)
{
    gzFile file = gzopen(path, "wb");
    cr_assert(file);
    cr_assert(gzwrite(file, head, (unsigned)head_bytes) == (int)head_bytes);
    cr_assert(gzwrite(file, body, (unsigned)body_bytes) == (int)body_bytes);
    cr_assert(gzclose(file) == Z_OK);
}

void bpt_samples_idx(const char *images, const char *labels, int64_t rows, int64_t classes)
{
    enum { PIXELS = 16 };
    uint64_t state = 2;
    unsigned char *x = calloc((size_t)rows, PIXELS), *y = calloc((size_t)rows, 1);
    cr_assert(x && y && rows < 65536);
    for (int64_t i = 0; i < rows * PIXELS; i++)
        x[i] = (unsigned char)next(&state);
    for (int64_t i = 0; i < rows; i++)
        y[i] = (unsigned char)(x[i * PIXELS] * classes / 256);
    unsigned char high = (unsigned char)(rows >> 8), low = (unsigned char)rows;
    gz_write(images, (unsigned char[16]){0, 0, 8, 3, 0, 0, high, low, 0, 0, 0, 4, 0, 0, 0, 4}, 16, x,
             (size_t)rows * PIXELS);
    gz_write(labels, (unsigned char[8]){0, 0, 8, 1, 0, 0, high, low}, 8, y, (size_t)rows);
    free(y);
    free(x);
}
