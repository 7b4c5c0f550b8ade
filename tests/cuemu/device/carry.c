/* carry.c: additions, subtractions and products that give or take a carry: add.cc, addc, sub.cc, subc, mad.cc, madc.
 * The condition code is one bit a lane, and lives with the warp. */
#include "device/decoder.h"
#include "device/exec.h"

enum { CARRY_ADD, CARRY_SUB, CARRY_MAD_LOW, CARRY_MAD_HIGH };

/* One lane: the sum or difference with the carry that comes in; *carry becomes the one that goes out. For sub the
 * condition code is the borrow. */
static uint64_t carry_step(const cue_insn *i, uint64_t a, uint64_t b, uint64_t c, bool in, bool *out)
{
    uint32_t bits = 8 * cue_type_bytes((cue_type)i->type);
    uint64_t all = UINT64_MAX >> (64 - bits);
    if (i->what == CARRY_MAD_LOW || i->what == CARRY_MAD_HIGH) {
        bool is_signed = cue_type_signed((cue_type)i->type);
        unsigned __int128 product =
            is_signed
                ? (unsigned __int128)((__int128)(int64_t)cue_extend(a, bits, true) * (int64_t)cue_extend(b, bits, true))
                : (unsigned __int128)(a & all) * (b & all);
        a = (uint64_t)(i->what == CARRY_MAD_HIGH ? product >> bits : product);
        b = c;
    }
    a &= all;
    b &= all;
    if (i->what == CARRY_SUB) {
        *out = a < b || (a == b && in);
        return (a - b - in) & all;
    }
    unsigned __int128 sum = (unsigned __int128)a + b + in;
    *out = sum >> bits != 0;
    return (uint64_t)sum & all;
}

static void run_carry(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]),
                   *c = cue_row_source(w, i->src[2]);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        bool out = false, in = i->join != 0 && (w->carry >> l & 1);
        w->rows[i->dst][l] = carry_step(i, a[l], b[l], c[l], in, &out);
        if (i->sat) /* .cc: the condition code is written */
            w->carry = (w->carry & ~(1u << l)) | (uint32_t)out << l;
    }
}

bool cue_select_carry(cue_decoder *d)
{
    static const char *const names[] = {"add", "addc", "sub", "subc", "mad", "madc"};
    int which = 0;
    while (which < 6 && !cue_word_is(d, 0, names[which]))
        which++;
    bool takes = which == 1 || which == 3 || which == 5, gives = cue_has_word(d, "cc");
    if (which == 6 || (!takes && !gives))
        return false;
    cue_type type = cue_word_type(d, 0);
    if (type != CUE_U32 && type != CUE_S32 && type != CUE_B32 && type != CUE_U64 && type != CUE_S64 && type != CUE_B64)
        cue_unknown(d, "no carry for the type");
    cue_only_words(d, which >= 4 ? "cc lo hi" : "cc");
    d->insn.run = run_carry;
    d->insn.class = CUE_CLASS_INTEGER;
    d->insn.type = (uint8_t)type;
    d->insn.what = which < 2               ? CARRY_ADD
                   : which < 4             ? CARRY_SUB
                   : cue_has_word(d, "hi") ? CARRY_MAD_HIGH
                                           : CARRY_MAD_LOW;
    d->insn.join = takes;
    d->insn.sat = gives;
    d->insn.dst = cue_destination(d);
    for (int i = 0; i < (which >= 4 ? 3 : 2); i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, type);
    }
    return true;
}
