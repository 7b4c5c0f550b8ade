/* memory_words.c: see memory_words.h; and the instructions on memory that move nothing: fences, prefetches, policies.
 */
#include "device/memory_words.h"
#include "device/exec.h"

cue_space cue_take_space(cue_decoder *d)
{
    static const char *const names[] = {"global", "const",        "shared",      "shared::cta", "local",
                                        "param",  "param::entry", "param::func", NULL};
    static const cue_space spaces[] = {CUE_GLOBAL, CUE_CONST, CUE_SHARED, CUE_SHARED, CUE_LOCAL};
    int which = cue_one_of(d, names);
    if (which < 0)
        return CUE_GENERIC;
    if (which < 5)
        return spaces[which];
    /* Parameters: those of a kernel, unless a symbol says otherwise; a device function has none of these. */
    return d->function->entry ? CUE_ENTRY_PARAM : CUE_FRAME_PARAM;
}

bool cue_take_strong(cue_decoder *d)
{
    return cue_has_word(d, "volatile") || cue_has_word(d, "relaxed") || cue_has_word(d, "acquire") ||
           cue_has_word(d, "release") || cue_has_word(d, "acq_rel");
}

void cue_skip_cache_policy(cue_decoder *d)
{
    if (!cue_has_word(d, "L2::cache_hint"))
        return;
    cue_comma(d);
    (void)cue_source(d, CUE_B64);
}

cue_class cue_space_class(cue_space space)
{
    switch (space) {
    case CUE_GENERIC:
    case CUE_GLOBAL:
        return CUE_CLASS_GLOBAL;
    case CUE_SHARED:
        return CUE_CLASS_SHARED;
    case CUE_LOCAL:
        return CUE_CLASS_LOCAL;
    default:
        return CUE_CLASS_MOVE;
    }
}

static void run_nothing(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    (void)w, (void)i, (void)mask;
}

/* nanosleep gives the other splits and warps a turn. */
static void run_yield(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    (void)i, (void)mask;
    w->look_around = true;
}

static void run_zero(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = 0;
}

static bool select_nothing(cue_decoder *d)
{
    d->insn.run = run_nothing;
    d->insn.class = CUE_CLASS_CONTROL;
    if (cue_word_is(d, 0, "membar")) {
        cue_only_words(d, "cta gl sys");
    } else if (cue_word_is(d, 0, "fence")) {
        cue_only_words(d, "sc acq_rel acquire release cta gpu sys");
    } else if (cue_word_is(d, 0, "prefetch") || cue_word_is(d, 0, "prefetchu")) {
        cue_only_words(d, "global local L1 L2 L2::evict_last L2::evict_normal");
        cue_bracketed(d, cue_take_space(d));
    } else if (cue_word_is(d, 0, "nanosleep")) {
        cue_only_words(d, "");
        (void)cue_source(d, CUE_U32);
        d->insn.run = run_yield;
    } else if (cue_word_is(d, 0, "createpolicy")) {
        cue_only_words(d, "fractional L2::evict_last L2::evict_normal L2::evict_first L2::evict_unchanged");
        d->insn.run = run_zero;
        d->insn.dst = cue_destination(d);
        while (cue_try(d, ","))
            (void)cue_source(d, CUE_F32);
    } else {
        return false;
    }
    return true;
}

bool cue_select_memory(cue_decoder *d)
{
    return cue_select_load_store(d) || cue_select_atomic(d) || cue_select_async(d) || select_nothing(d);
}
