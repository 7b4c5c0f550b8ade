/* matrix.c: mma with f32 accumulators (f16, bf16, tf32) and ldmatrix. Which lane holds which element is as the PTX
 * manual has it: lane = 4 * group + place. Products are added in double and rounded once; a card rounds in an order of
 * its own. */
#include "device/decoder.h"
#include "device/exec.h"

#include <string.h>

enum { ROWS = 16, COLUMNS = 8, MAX_DEPTH = 16 };

/* ---------------------------------------------------------------- mma */
/* `what` holds the depth k. Elements per register: two halves, or one tf32. */
static bool is_tf32(const cue_insn *i)
{
    return i->source_type == CUE_TF32;
}

static double element(const cue_insn *i, uint64_t bits, uint32_t which)
{
    if (is_tf32(i)) /* the card looks at 10 bits of the fraction */
        return (double)cue_to_f32(bits & 0xffffe000u);
    return cue_half_to_double((uint32_t)(bits >> (16 * which)), i->source_type == CUE_BF16);
}

/* gather_a, gather_b: the matrices out of the registers of all lanes. */
static void gather_a(const cue_warp *w, const cue_insn *i, double a[ROWS][MAX_DEPTH])
{
    uint32_t per = is_tf32(i) ? 1 : 2, columns = 4 * per; /* columns that one pair of registers covers */
    for (uint32_t r = 0; r < (uint32_t)i->what / columns * 2; r++)
        for (uint32_t l = 0; l < CUE_WARP; l++)
            for (uint32_t e = 0; e < per; e++)
                a[l / 4 + (r & 1) * 8][l % 4 * per + e + r / 2 * columns] =
                    element(i, cue_row_source(w, i->elements[r])[l], e);
}

static void gather_b(const cue_warp *w, const cue_insn *i, double b[MAX_DEPTH][COLUMNS])
{
    uint32_t per = is_tf32(i) ? 1 : 2, rows = 4 * per;
    for (uint32_t r = 0; r < (uint32_t)i->what / rows; r++)
        for (uint32_t l = 0; l < CUE_WARP; l++)
            for (uint32_t e = 0; e < per; e++)
                b[l % 4 * per + e + r * rows][l / 4] = element(i, cue_row_source(w, i->elements[4 + r])[l], e);
}

/* whole_warp: .aligned wants all lanes of the warp at once. */
static bool whole_warp(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    if (mask == UINT32_MAX)
        return true;
    cue_place place = cue_exec_place(w, i, (uint32_t)__builtin_ctz(mask));
    cue_report(CUE_WARP_MASK, &place, "lanes %08x execute what all 32 lanes must execute together", mask);
    cue_block_fault(w->block, CUE_ILLEGAL_INSTRUCTION);
    return false;
}

static void run_mma(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    double a[ROWS][MAX_DEPTH], b[MAX_DEPTH][COLUMNS];
    float sums[4][CUE_WARP];
    if (!whole_warp(w, i, mask))
        return;
    gather_a(w, i, a);
    gather_b(w, i, b);
    for (uint32_t r = 0; r < 4; r++)
        for (uint32_t l = 0; l < CUE_WARP; l++) {
            uint32_t row = l / 4 + r / 2 * 8, column = l % 4 * 2 + (r & 1);
            double sum = (double)cue_to_f32(cue_row_source(w, i->src[r])[l]);
            for (uint32_t k = 0; k < i->what; k++)
                sum += a[row][k] * b[k][column];
            sums[r][l] = (float)sum;
        }
    for (uint32_t r = 0; r < 4; r++)
        for (uint32_t l = 0; l < CUE_WARP; l++)
            w->rows[i->results[r]][l] = sums[r][l] != sums[r][l] ? CUE_F32_NAN : cue_from_f32(sums[r][l]);
}

/* ---------------------------------------------------------------- ldmatrix */
/* Matrix m, 8 x 8 of 16 bits: lanes 8 m to 8 m + 7 give the addresses of its rows. */
static bool load_rows(cue_warp *w, const cue_insn *i, uint16_t matrix[8][8], uint32_t m, const uint64_t *addresses)
{
    for (uint32_t row = 0; row < 8; row++) {
        uint32_t lane = 8 * m + row;
        const uint8_t *from = cue_touch(w, i, lane, CUE_SHARED, addresses[lane], 16, CUE_LOADS);
        if (from == NULL)
            return false;
        memcpy(matrix[row], from, 16);
    }
    return true;
}

static void run_ldmatrix(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint64_t addresses[CUE_WARP];
    uint16_t matrix[8][8];
    if (!whole_warp(w, i, mask))
        return;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        uint64_t base = i->address.base == CUE_NO_ROW ? 0 : cue_row_source(w, i->address.base)[l];
        addresses[l] = (uint32_t)(base + (uint64_t)i->address.offset);
    }
    for (uint32_t m = 0; m < i->vector; m++) {
        cue_traffic_shared(w->block, addresses, 0xffu << (8 * m), 16, false);
        if (!load_rows(w, i, matrix, m, addresses))
            return;
        for (uint32_t l = 0; l < CUE_WARP; l++) {
            uint32_t row = l / 4, column = l % 4 * 2;
            uint32_t low = i->what ? matrix[column][row] : matrix[row][column];
            uint32_t high = i->what ? matrix[column + 1][row] : matrix[row][column + 1];
            w->rows[i->elements[m]][l] = high << 16 | low;
        }
    }
}

/* ---------------------------------------------------------------- selection */
/* take_registers: a vector of exactly `count` into `to`. */
static void take_registers(cue_decoder *d, int32_t *to, uint32_t count, cue_type type, bool destination)
{
    int32_t kept[CUE_MAX_VECTOR];
    memcpy(kept, d->insn.elements, sizeof kept);
    if (cue_vector(d, type, destination) != count)
        cue_unknown(d, "not as many registers as the shape needs");
    int32_t taken[CUE_MAX_VECTOR];
    memcpy(taken, d->insn.elements, sizeof taken);
    memcpy(d->insn.elements, kept, sizeof kept);
    memcpy(to, taken, count * sizeof *to);
    for (uint32_t i = 0; i < count; i++)
        if (taken[i] == CUE_NO_ROW)
            cue_unknown(d, "_ as a register of a matrix");
}

static uint32_t depth_of(cue_decoder *d, cue_type type)
{
    static const char *const shapes[] = {"m16n8k4", "m16n8k8", "m16n8k16", NULL};
    int shape = cue_one_of(d, shapes);
    bool half = type == CUE_F16 || type == CUE_BF16;
    if (shape < 0 || (half ? shape == 0 : type != CUE_TF32 || shape == 2))
        cue_unknown(d, "no such shape for the type");
    return 4u << shape;
}

static void select_mma(cue_decoder *d)
{
    cue_only_words(d, "sync aligned m16n8k4 m16n8k8 m16n8k16 row col");
    cue_type type = cue_word_type(d, 1);
    if (cue_word_type(d, 0) != CUE_F32 || cue_word_type(d, 2) != type || cue_word_type(d, 3) != CUE_F32 ||
        !cue_has_word(d, "row") || !cue_has_word(d, "col") || !cue_has_word(d, "aligned"))
        cue_unknown(d, "only mma.sync.aligned.row.col with f32 sums");
    uint32_t depth = depth_of(d, type), per = type == CUE_TF32 ? 1 : 2;
    d->insn.run = run_mma;
    d->insn.class = type == CUE_TF32 ? CUE_CLASS_F32 : CUE_CLASS_HALF;
    d->insn.source_type = (uint8_t)type;
    d->insn.what = (uint8_t)depth;
    take_registers(d, d->insn.results, 4, CUE_F32, true);
    cue_comma(d);
    take_registers(d, &d->insn.elements[0], depth / (4 * per) * 2, CUE_B32, false);
    cue_comma(d);
    take_registers(d, &d->insn.elements[4], depth / (4 * per), CUE_B32, false);
    cue_comma(d);
    take_registers(d, d->insn.src, 4, CUE_F32, false);
}

static void select_ldmatrix(cue_decoder *d)
{
    static const char *const counts[] = {"x1", "x2", "x4", NULL};
    cue_only_words(d, "sync aligned m8n8 x1 x2 x4 trans shared shared::cta");
    int count = cue_one_of(d, counts);
    if (count < 0 || cue_word_type(d, 0) != CUE_B16 || !cue_has_word(d, "m8n8") || !cue_has_word(d, "aligned") ||
        !(cue_has_word(d, "shared") || cue_has_word(d, "shared::cta")))
        cue_unknown(d, "only ldmatrix.sync.aligned.m8n8 of b16 from shared memory");
    d->insn.run = run_ldmatrix;
    d->insn.class = CUE_CLASS_SHARED;
    d->insn.vector = (uint8_t)(1 << count);
    d->insn.what = cue_has_word(d, "trans");
    take_registers(d, d->insn.elements, d->insn.vector, CUE_B32, true);
    cue_comma(d);
    d->insn.address = cue_bracketed(d, CUE_SHARED);
}

bool cue_select_matrix(cue_decoder *d)
{
    if (cue_word_is(d, 0, "mma"))
        select_mma(d);
    else if (cue_word_is(d, 0, "ldmatrix"))
        select_ldmatrix(d);
    else
        return false;
    return true;
}
