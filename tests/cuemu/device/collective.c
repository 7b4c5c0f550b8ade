/* collective.c: what the lanes of a warp do together: shfl, vote, match, redux, elect, bar.warp.sync. A collective
 * happens when all lanes of the mask that have not ended have come with the same instruction and the same mask. Values
 * from lanes that take no part are undefined on a card, and all ones (NaN) here. */
#include "device/decoder.h"
#include "device/exec.h"

#include <string.h>

enum {
    SHFL_UP,
    SHFL_DOWN,
    SHFL_BFLY,
    SHFL_IDX,
    VOTE_ALL,
    VOTE_ANY,
    VOTE_UNI,
    VOTE_BALLOT,
    MATCH_ANY,
    MATCH_ALL,
    REDUX_ADD,
    REDUX_MIN,
    REDUX_MAX,
    REDUX_AND,
    REDUX_OR,
    REDUX_XOR,
    ELECT,
    SYNC
};

/* Operands of all lanes, wherever their splits are in the code. */
typedef struct gathered {
    uint64_t a[CUE_WARP], b[CUE_WARP], c[CUE_WARP];
    uint32_t predicate; /* one bit a lane */
    uint64_t result[CUE_WARP];
    uint32_t result_predicate;
} gathered;

static void gather(cue_warp *w, cue_split *split, const cue_insn *i, uint32_t lanes, gathered *g)
{
    cue_warp_use(w, split);
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]),
                   *c = cue_row_source(w, i->src[2]);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (lanes >> l & 1) {
            g->a[l] = a[l];
            g->b[l] = b[l];
            g->c[l] = c[l];
        }
    g->predicate = (g->predicate & ~lanes) | (cue_predicate_mask(w, i->predicate[0]) & lanes);
}

static void scatter(cue_warp *w, cue_split *split, const cue_insn *i, uint32_t lanes, const gathered *g)
{
    cue_warp_use(w, split);
    for (uint32_t l = 0; l < CUE_WARP && i->dst != CUE_NO_ROW; l++)
        if (lanes >> l & 1)
            w->rows[i->dst][l] = g->result[l];
    cue_set_predicate(w, i->dst_predicate, g->result_predicate, lanes);
}

/* ---------------------------------------------------------------- what each does */
/* source_lane: as the PTX manual spells it, with b the distance or lane and c the clamp and segment mask. */
static int source_lane(uint8_t what, int lane, uint32_t b, uint32_t c, bool *in_range)
{
    int distance = (int)(b & 31), clamp = (int)(c & 31), segment = (int)(c >> 8 & 31);
    int highest = (lane & segment) | (clamp & ~segment), lowest = lane & segment, from;
    switch (what) {
    case SHFL_UP:
        from = lane - distance;
        *in_range = from >= highest;
        break;
    case SHFL_DOWN:
        from = lane + distance;
        *in_range = from <= highest;
        break;
    case SHFL_BFLY:
        from = lane ^ distance;
        *in_range = from <= highest;
        break;
    default:
        from = lowest | (distance & ~segment);
        *in_range = from <= highest;
        break;
    }
    return *in_range ? from : lane;
}

static void shuffle(uint8_t what, uint32_t lanes, gathered *g)
{
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(lanes >> l & 1))
            continue;
        bool in_range;
        int from = source_lane(what, (int)l, (uint32_t)g->b[l], (uint32_t)g->c[l], &in_range);
        g->result[l] = from < (int)CUE_WARP && (lanes >> from & 1) ? (uint32_t)g->a[from] : UINT32_MAX;
        g->result_predicate |= (uint32_t)in_range << l;
    }
}

static void vote(uint8_t what, uint32_t lanes, gathered *g)
{
    uint32_t yes = g->predicate & lanes;
    bool all = yes == lanes, any = yes != 0;
    bool answer = what == VOTE_ALL ? all : what == VOTE_ANY ? any : all || !any;
    g->result_predicate = answer ? lanes : 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        g->result[l] = yes;
}

static void match(const cue_insn *i, uint32_t lanes, gathered *g)
{
    uint64_t cut = i->type == CUE_B32 ? UINT32_MAX : UINT64_MAX;
    bool all = true;
    uint32_t first = (uint32_t)__builtin_ctz(lanes);
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(lanes >> l & 1))
            continue;
        uint32_t same = 0;
        for (uint32_t k = 0; k < CUE_WARP; k++)
            same |= (uint32_t)((lanes >> k & 1) && ((g->a[k] ^ g->a[l]) & cut) == 0) << k;
        g->result[l] = same;
        all = all && ((g->a[l] ^ g->a[first]) & cut) == 0;
    }
    if (i->what != MATCH_ALL)
        return;
    g->result_predicate = all ? lanes : 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        g->result[l] = all ? lanes : 0;
}

static uint32_t reduce_two(const cue_insn *i, uint32_t x, uint32_t y)
{
    bool is_signed = i->type == CUE_S32;
    bool less = is_signed ? (int32_t)x < (int32_t)y : x < y;
    switch (i->what) {
    case REDUX_ADD:
        return x + y;
    case REDUX_MIN:
        return less ? x : y;
    case REDUX_MAX:
        return less ? y : x;
    case REDUX_AND:
        return x & y;
    case REDUX_OR:
        return x | y;
    default:
        return x ^ y;
    }
}

static void reduce(const cue_insn *i, uint32_t lanes, gathered *g)
{
    uint32_t left = lanes, value = (uint32_t)g->a[__builtin_ctz(left)];
    for (left &= left - 1; left != 0; left &= left - 1)
        value = reduce_two(i, value, (uint32_t)g->a[__builtin_ctz(left)]);
    for (uint32_t l = 0; l < CUE_WARP; l++)
        g->result[l] = value;
}

static void elect(uint32_t lanes, gathered *g)
{
    uint32_t leader = (uint32_t)__builtin_ctz(lanes);
    g->result_predicate = 1u << leader;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        g->result[l] = leader;
}

static void act(cue_warp *w, const cue_insn *i, uint32_t lanes, gathered *g)
{
    g->result_predicate = 0;
    if (i->what <= SHFL_IDX)
        shuffle(i->what, lanes, g);
    else if (i->what <= VOTE_BALLOT)
        vote(i->what, lanes, g);
    else if (i->what <= MATCH_ALL)
        match(i, lanes, g);
    else if (i->what <= REDUX_XOR)
        reduce(i, lanes, g);
    else if (i->what == ELECT)
        elect(lanes, g);
    else
        cue_clock_lanes_barrier(w->block->clock, w->index, lanes, lanes == w->alive, w->block->threads);
}

/* ---------------------------------------------------------------- who has come */
/* members: the mask that a lane names. A lane outside its own mask is a fault; it counts as named from then on. */
static uint32_t members(cue_warp *w, const cue_insn *i, uint32_t lane)
{
    uint32_t mask = (uint32_t)cue_row_source(w, i->src[3])[lane];
    if (!(mask >> lane & 1)) {
        cue_place place = cue_exec_place(w, i, lane);
        cue_report(CUE_WARP_MASK, &place, "mask %08x does not name the lane that calls, lane %u", mask, lane);
        mask |= 1u << lane;
    }
    return mask & w->alive;
}

static void run_collective(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t named[CUE_WARP];
    bool complete = true;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1) {
            named[l] = members(w, i, l);
            complete = complete && (named[l] & ~mask) == 0;
        }
    for (uint32_t l = 0; l < CUE_WARP && complete; l++)
        for (uint32_t k = 0; k < CUE_WARP && (mask >> l & 1) && complete; k++)
            complete = !(named[l] >> k & 1) || named[k] == named[l];
    if (complete) {
        gathered g = {0};
        uint32_t pc = w->pc, left = mask;
        cue_split *split = w->split;
        gather(w, split, i, mask, &g);
        while (left != 0) {
            uint32_t lanes = named[__builtin_ctz(left)];
            act(w, i, lanes, &g);
            scatter(w, split, i, lanes, &g);
            left &= ~lanes;
        }
        w->pc = pc;
        return;
    }
    cue_split *waiting = mask == w->mask ? w->split : cue_warp_part(w, mask);
    waiting->state = CUE_AT_COLLECTIVE;
    waiting->waits_at = i;
    w->look_around = true;
}

static bool same_collective(const cue_insn *a, const cue_insn *b)
{
    return a->run == b->run && a->what == b->what && a->type == b->type;
}

/* finish: the lanes go on; splits that hold others too are divided. */
static void finish(cue_warp *w, cue_split *const *split_of, const cue_insn *const *insn_of, uint32_t lanes)
{
    gathered g = {0};
    uint32_t left = lanes;
    cue_split *splits[CUE_WARP];
    uint32_t count = 0;
    while (left != 0) {
        cue_split *s = split_of[__builtin_ctz(left)];
        splits[count++] = s;
        gather(w, s, s->waits_at, s->mask & lanes, &g);
        left &= ~s->mask;
    }
    act(w, insn_of[__builtin_ctz(lanes)], lanes, &g);
    for (uint32_t n = 0; n < count; n++) {
        cue_split *s = splits[n];
        scatter(w, s, s->waits_at, s->mask & lanes, &g);
        if ((s->mask & ~lanes) == 0) {
            s->state = CUE_RUNS;
            continue;
        }
        cue_warp_part(w, s->mask & lanes)->state = CUE_RUNS;
    }
}

bool cue_collectives_complete(cue_warp *w)
{
    cue_split *split_of[CUE_WARP] = {0};
    const cue_insn *insn_of[CUE_WARP] = {0};
    uint32_t named[CUE_WARP] = {0}, waiting = 0;
    for (uint32_t n = 0; n < w->split_count; n++) {
        cue_split *s = &w->splits[n];
        if (s->state != CUE_AT_COLLECTIVE)
            continue;
        cue_warp_use(w, s);
        for (uint32_t l = 0; l < CUE_WARP; l++)
            if (s->mask >> l & 1) {
                split_of[l] = s;
                insn_of[l] = s->waits_at;
                named[l] = members(w, s->waits_at, l);
                waiting |= 1u << l;
            }
    }
    for (uint32_t left = waiting; left != 0; left &= left - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(left), lanes = named[l];
        bool complete = (lanes & ~waiting) == 0;
        for (uint32_t k = 0; k < CUE_WARP && complete; k++)
            if (lanes >> k & 1)
                complete = named[k] == lanes && same_collective(insn_of[k], insn_of[l]);
        if (complete) {
            finish(w, split_of, insn_of, lanes);
            return true;
        }
    }
    return false;
}

static void run_activemask(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            w->rows[i->dst][l] = mask;
}

/* ---------------------------------------------------------------- selection */
static void take_mask(cue_decoder *d)
{
    cue_comma(d);
    d->insn.src[3] = cue_source(d, CUE_B32);
}

static void take_choice(cue_decoder *d, const char *const *names, int first)
{
    int which = cue_one_of(d, names);
    if (which < 0)
        cue_unknown(d, "no such form");
    d->insn.what = (uint8_t)(first + which);
}

static void select_shfl(cue_decoder *d)
{
    static const char *const names[] = {"up", "down", "bfly", "idx", NULL};
    cue_only_words(d, "sync up down bfly idx");
    take_choice(d, names, SHFL_UP);
    if (!cue_has_word(d, "sync") || cue_word_type(d, 0) != CUE_B32)
        cue_unknown(d, "only shfl.sync of b32");
    d->insn.dst = cue_destination(d);
    if (cue_try(d, "|"))
        d->insn.dst_predicate = cue_predicate_destination(d);
    for (int i = 0; i < 3; i++) {
        cue_comma(d);
        d->insn.src[i] = cue_source(d, CUE_B32);
    }
    take_mask(d);
}

static void select_vote(cue_decoder *d)
{
    static const char *const names[] = {"all", "any", "uni", "ballot", NULL};
    cue_only_words(d, "sync all any uni ballot");
    take_choice(d, names, VOTE_ALL);
    if (!cue_has_word(d, "sync"))
        cue_unknown(d, "only vote.sync");
    if (d->insn.what == VOTE_BALLOT)
        d->insn.dst = cue_destination(d);
    else
        d->insn.dst_predicate = cue_predicate_destination(d);
    cue_comma(d);
    d->insn.predicate[0] = cue_predicate(d);
    take_mask(d);
}

static void select_match(cue_decoder *d)
{
    static const char *const names[] = {"any", "all", NULL};
    cue_only_words(d, "sync any all");
    take_choice(d, names, MATCH_ANY);
    d->insn.type = (uint8_t)cue_word_type(d, 0);
    if (!cue_has_word(d, "sync") || (d->insn.type != CUE_B32 && d->insn.type != CUE_B64))
        cue_unknown(d, "only match.sync of b32 and b64");
    d->insn.dst = cue_destination(d);
    if (cue_try(d, "|"))
        d->insn.dst_predicate = cue_predicate_destination(d);
    cue_comma(d);
    d->insn.src[0] = cue_source(d, (cue_type)d->insn.type);
    take_mask(d);
}

static void select_redux(cue_decoder *d)
{
    static const char *const names[] = {"add", "min", "max", "and", "or", "xor", NULL};
    cue_only_words(d, "sync add min max and or xor");
    take_choice(d, names, REDUX_ADD);
    d->insn.type = (uint8_t)cue_word_type(d, 0);
    bool logic = d->insn.what >= REDUX_AND;
    if (logic ? d->insn.type != CUE_B32 : d->insn.type != CUE_U32 && d->insn.type != CUE_S32)
        cue_unknown(d, "no such type");
    d->insn.dst = cue_destination(d);
    cue_comma(d);
    d->insn.src[0] = cue_source(d, (cue_type)d->insn.type);
    take_mask(d);
}

static void select_elect(cue_decoder *d)
{
    cue_only_words(d, "sync");
    d->insn.what = ELECT;
    d->insn.dst = cue_destination(d);
    if (cue_try(d, "|"))
        d->insn.dst_predicate = cue_predicate_destination(d);
    take_mask(d);
}

static void select_warp_barrier(cue_decoder *d)
{
    cue_only_words(d, "warp sync");
    d->insn.what = SYNC;
    d->insn.class = CUE_CLASS_BARRIER;
    d->insn.src[3] = cue_source(d, CUE_B32);
}

bool cue_select_warp(cue_decoder *d)
{
    d->insn.class = CUE_CLASS_WARP;
    d->insn.run = run_collective;
    if (cue_word_is(d, 0, "shfl")) {
        select_shfl(d);
    } else if (cue_word_is(d, 0, "vote")) {
        select_vote(d);
    } else if (cue_word_is(d, 0, "match")) {
        select_match(d);
    } else if (cue_word_is(d, 0, "redux")) {
        select_redux(d);
    } else if (cue_word_is(d, 0, "elect")) {
        select_elect(d);
    } else if (cue_word_is(d, 0, "bar") && cue_word_is(d, 1, "warp")) {
        select_warp_barrier(d);
    } else if (cue_word_is(d, 0, "activemask")) {
        cue_only_words(d, "");
        d->insn.run = run_activemask;
        d->insn.dst = cue_destination(d);
    } else {
        return cue_select_barrier(d);
    }
    return true;
}
