/* atomic.c: atom and red. Lanes take their turns in the order of the mode; each reads, computes and writes at once. */
#include "device/exec.h"
#include "device/memory_words.h"

#include <string.h>

enum { ADD, MIN, MAX, AND, OR, XOR, INC, DEC, EXCH, CAS };

static bool is_float(cue_type type)
{
    return type >= CUE_F16 && type <= CUE_F64;
}

static uint64_t half_add(uint64_t x, uint64_t y, bool bf16)
{
    return cue_half_from_double(
        cue_sum_to_odd(cue_half_to_double((uint32_t)x, bf16), cue_half_to_double((uint32_t)y, bf16)), bf16, CUE_RN);
}

/* Adding in global memory flushes denormals of f32; in shared memory it does not. */
static uint64_t float_add(cue_type type, uint64_t x, uint64_t y, bool flush)
{
    switch (type) {
    case CUE_F32: {
        float sum =
            flush ? cue_flush(cue_flush(cue_to_f32(x)) + cue_flush(cue_to_f32(y))) : cue_to_f32(x) + cue_to_f32(y);
        return sum != sum ? CUE_F32_NAN : cue_from_f32(sum);
    }
    case CUE_F64:
        return cue_from_f64(cue_to_f64(x) + cue_to_f64(y));
    case CUE_F16X2:
    case CUE_BF16X2:
        return half_add(x >> 16, y >> 16, type == CUE_BF16X2) << 16 | half_add(x, y, type == CUE_BF16X2);
    default:
        return half_add(x, y, type == CUE_BF16);
    }
}

static uint64_t combine(const cue_insn *i, uint64_t old, uint64_t b, uint64_t c, bool global)
{
    cue_type type = (cue_type)i->type;
    if (is_float(type))
        return float_add(type, old, b, global);
    uint32_t bits = 8 * cue_type_bytes(type);
    uint64_t x = cue_extend(old, bits, cue_type_signed(type)), y = cue_extend(b, bits, cue_type_signed(type));
    bool less = cue_type_signed(type) ? (int64_t)x < (int64_t)y : x < y;
    switch (i->what) {
    case ADD:
        return x + y;
    case MIN:
        return less ? x : y;
    case MAX:
        return less ? y : x;
    case AND:
        return x & y;
    case OR:
        return x | y;
    case XOR:
        return x ^ y;
    case INC:
        return x >= y ? 0 : x + 1;
    case DEC:
        return x == 0 || x > y ? y : x - 1;
    case EXCH:
        return y;
    default:
        return x == y ? c : x;
    }
}

static uint64_t address_of(const cue_warp *w, const cue_insn *i, uint32_t lane)
{
    uint64_t base = i->address.base == CUE_NO_ROW ? 0 : cue_row_source(w, i->address.base)[lane];
    uint64_t address = base + (uint64_t)i->address.offset;
    return i->address.space == CUE_SHARED ? (uint32_t)address : address;
}

static void count(cue_warp *w, cue_space space, const uint64_t *addresses, uint32_t mask, uint32_t bytes)
{
    if (mask == 0)
        return;
    if (space == CUE_SHARED) {
        cue_traffic_shared(w->block, addresses, mask, bytes, true);
        return;
    }
    cue_traffic_global(w->block, addresses, mask, bytes, true);
    w->block->counters->atomic_operations += __builtin_popcount(mask);
}

/* update_lane: the elements of a vector are updated one by one, but must be aligned together. */
static bool update_lane(cue_warp *w, const cue_insn *i, uint32_t lane, uint64_t address, bool global)
{
    uint32_t element = cue_type_bytes((cue_type)i->type), bytes = element * i->vector;
    for (uint32_t e = 0; e < i->vector; e++) {
        bool aligned = address % bytes == 0;
        uint8_t *at = aligned ? cue_touch(w, i, lane, i->address.space, address + e * element, element, CUE_UPDATES)
                              : cue_touch(w, i, lane, i->address.space, address, bytes, CUE_UPDATES);
        if (at == NULL)
            return false;
        uint64_t old = 0;
        memcpy(&old, at, element);
        uint64_t updated =
            combine(i, old, cue_row_source(w, i->elements[e])[lane], cue_row_source(w, i->src[1])[lane], global);
        memcpy(at, &updated, element);
        if (i->results[e] != CUE_NO_ROW)
            w->rows[i->results[e]][lane] = old;
    }
    return true;
}

static void run_atomic(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint64_t addresses[CUE_WARP];
    uint32_t element = cue_type_bytes((cue_type)i->type), bytes = element * i->vector, shared = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1) {
            uint64_t address = address_of(w, i, l);
            addresses[l] = address;
            bool in_shared = i->address.space == CUE_SHARED ||
                             (i->address.space == CUE_GENERIC && cue_generic_space(w->block, &address) == CUE_SHARED);
            shared |= (uint32_t)in_shared << l;
        }
    count(w, CUE_GLOBAL, addresses, mask & ~shared, bytes);
    count(w, CUE_SHARED, addresses, mask & shared, bytes);
    for (uint32_t n = 0; n < CUE_WARP; n++) {
        uint32_t l = w->block->lane_order[n];
        if ((mask >> l & 1) && !update_lane(w, i, l, addresses[l], !(shared >> l & 1)))
            return;
    }
}

/* ---------------------------------------------------------------- selection */
static bool type_fits(uint8_t what, cue_type type, bool noftz)
{
    bool half = type == CUE_F16 || type == CUE_F16X2 || type == CUE_BF16 || type == CUE_BF16X2;
    bool integer = type == CUE_U32 || type == CUE_S32 || type == CUE_U64 || type == CUE_S64;
    bool bits = type == CUE_B32 || type == CUE_B64;
    if (half != noftz)
        return false;
    switch (what) {
    case ADD:
        return (integer && type != CUE_S64) || half || type == CUE_F32 || type == CUE_F64;
    case MIN:
    case MAX:
        return integer;
    case INC:
    case DEC:
        return type == CUE_U32;
    case CAS:
        return bits || type == CUE_B16;
    default:
        return bits;
    }
}

/* Vectors: additions of floats in global memory, from compute_90 on. */
static void take_vector(cue_decoder *d, cue_type type)
{
    static const char *const names[] = {"v2", "v4", "v8", NULL};
    int which = cue_one_of(d, names);
    d->insn.vector = (uint8_t)(which < 0 ? 1 : 2 << which);
    bool half = type == CUE_F16 || type == CUE_F16X2 || type == CUE_BF16 || type == CUE_BF16X2;
    uint32_t bytes = cue_type_bytes(type) * d->insn.vector;
    if (which >= 0 && ((!half && type != CUE_F32) || bytes > 16 || d->insn.what != ADD))
        cue_unknown(d, "no such vector");
}

static void take_results(cue_decoder *d)
{
    if (d->insn.vector == 1) {
        d->insn.results[0] = cue_destination(d);
    } else {
        if (cue_vector(d, CUE_NO_TYPE, true) != d->insn.vector)
            cue_unknown(d, "not as many registers as the vector has elements");
        memcpy(d->insn.results, d->insn.elements, sizeof d->insn.results);
    }
    cue_comma(d);
}

static void take_values(cue_decoder *d, cue_type type)
{
    cue_comma(d);
    if (d->insn.vector == 1)
        d->insn.elements[0] = cue_source(d, type);
    else if (cue_vector(d, type, false) != d->insn.vector)
        cue_unknown(d, "not as many registers as the vector has elements");
    if (d->insn.what == CAS) {
        cue_comma(d);
        d->insn.src[1] = cue_source(d, type);
    }
}

bool cue_select_atomic(cue_decoder *d)
{
    static const char *const names[] = {"add", "min", "max", "and", "or", "xor", "inc", "dec", "exch", "cas", NULL};
    bool returns = cue_word_is(d, 0, "atom");
    if (!returns && !cue_word_is(d, 0, "red"))
        return false;
    cue_only_words(d, CUE_SPACE_WORDS " " CUE_ORDER_WORDS
                                      " add min max and or xor inc dec exch cas noftz v2 v4 v8 L2::cache_hint");
    cue_type type = cue_word_type(d, 0);
    int what = cue_one_of(d, names);
    cue_space space = cue_take_space(d);
    bool place = space == CUE_GENERIC || space == CUE_GLOBAL || space == CUE_SHARED;
    if (what < 0 || !place || (!returns && what >= EXCH) || !type_fits((uint8_t)what, type, cue_has_word(d, "noftz")))
        cue_unknown(d, "no such atomic operation");
    d->insn.run = run_atomic;
    d->insn.class = CUE_CLASS_ATOMIC;
    d->insn.type = (uint8_t)type;
    d->insn.what = (uint8_t)what;
    d->insn.strong = true;
    take_vector(d, type);
    for (int i = 0; i < CUE_MAX_VECTOR; i++)
        d->insn.results[i] = CUE_NO_ROW;
    if (returns)
        take_results(d);
    d->insn.address = cue_bracketed(d, space);
    take_values(d, type);
    cue_skip_cache_policy(d);
    return true;
}
