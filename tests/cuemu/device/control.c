/* control.c: branches, calls and returns, the end of threads, traps. */
#include "device/decoder.h"
#include "device/exec.h"

#include <string.h>

/* ---------------------------------------------------------------- branches */
void cue_run_branch(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    cue_counters *c = w->block->counters;
    c->branches += i->guard >= 0;
    if (mask == w->mask) {
        w->pc = i->target;
        return;
    }
    c->divergent_branches++;
    cue_warp_part(w, mask)->pc = i->target;
}

/* brx.idx: lanes that agree on the target stay together. */
static void run_branch_table(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *index = cue_row_source(w, i->src[0]);
    cue_counters *c = w->block->counters;
    c->branches++;
    bool first = true;
    while (mask != 0) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask), which = (uint32_t)index[lane], same = 0;
        for (uint32_t l = lane; l < CUE_WARP; l++)
            same |= (uint32_t)((mask >> l & 1) && (uint32_t)index[l] == which) << l;
        if (which >= i->target_count) {
            cue_place place = cue_exec_place(w, i, lane);
            cue_report(CUE_OUT_OF_BOUNDS, &place, "branch to entry %u of a table of %u", which, i->target_count);
            cue_block_fault(w->block, CUE_ILLEGAL_INSTRUCTION);
            return;
        }
        mask &= ~same;
        if (same == w->mask) {
            w->pc = i->targets[which];
            return;
        }
        c->divergent_branches += first;
        first = false;
        cue_warp_part(w, same)->pc = i->targets[which];
    }
}

/* ---------------------------------------------------------------- calls */
uint8_t *cue_lane_parameters(const cue_warp *w, uint32_t depth, uint32_t lane)
{
    size_t bytes = w->block->kernel->frame_parameter_bytes;
    return w->all_parameters + ((size_t)depth * CUE_WARP + lane) * bytes;
}

/* The split whose lanes are exactly `mask`: the running one, or a part of it. */
static cue_split *exactly(cue_warp *w, uint32_t mask)
{
    w->look_around = true;
    if (mask != w->mask)
        return cue_warp_part(w, mask);
    w->split->pc = w->pc;
    return w->split;
}

static void enter_callee(cue_warp *w, cue_split *s, const cue_call *call, const cue_function *callee)
{
    uint32_t pc = w->pc, local_base = (s->local_base + s->function->local_bytes + 15) / 16 * 16;
    cue_frame *frame = &s->frames[s->depth];
    *frame = (cue_frame){s->function, s->pc, s->local_base, call};
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(s->mask >> l & 1))
            continue;
        const uint8_t *from = cue_lane_parameters(w, s->depth, l);
        uint8_t *to = cue_lane_parameters(w, s->depth + 1, l);
        for (uint32_t a = 0; a < call->argument_count; a++)
            memcpy(to + callee->parameters[a].offset, from + call->arguments[a], call->argument_bytes[a]);
        if (callee->local_bytes > 0)
            cue_local_clear(w->block, cue_thread(w, l), local_base, callee->local_bytes);
    }
    s->local_base = local_base;
    s->depth++;
    s->function = callee;
    s->pc = 0;
    cue_split *running = w->split;
    cue_warp_use(w, s);
    cue_warp_enter(w, callee, s->mask);
    cue_warp_use(w, running);
    w->pc = running == s ? 0 : pc;
}

static bool fits(cue_warp *w, const cue_insn *i, const cue_split *s, const cue_function *callee)
{
    uint64_t local = (s->local_base + s->function->local_bytes + 15) / 16 * 16 + callee->local_bytes;
    if (s->depth + 2 <= w->block->kernel->max_depth && local <= w->block->local_bytes)
        return true;
    cue_place place = cue_exec_place(w, i, (uint32_t)__builtin_ctz(s->mask));
    cue_report(CUE_STACK_OVERFLOW, &place, "call of %s at depth %u, with %llu bytes of local memory of %u",
               callee->name, s->depth + 1, (unsigned long long)local, w->block->local_bytes);
    cue_block_fault(w->block, CUE_ILLEGAL_ADDRESS);
    return false;
}

static bool arguments_match(cue_warp *w, const cue_insn *i, const cue_function *callee, uint32_t lane)
{
    bool match = callee->parameter_count == i->call->argument_count && callee->result_count >= i->call->result_count;
    for (uint32_t a = 0; match && a < i->call->argument_count; a++)
        match = callee->parameters[a].bytes == i->call->argument_bytes[a];
    if (match)
        return true;
    cue_place place = cue_exec_place(w, i, lane);
    cue_report(CUE_DEVICE_TRAP, &place, "call of %s with arguments of another shape", callee->name);
    cue_block_fault(w->block, CUE_ILLEGAL_INSTRUCTION);
    return false;
}

static void call_function(cue_warp *w, const cue_insn *i, uint32_t mask, const cue_function *callee)
{
    if (!arguments_match(w, i, callee, (uint32_t)__builtin_ctz(mask)))
        return;
    uint32_t pc = w->pc;
    cue_split *s = exactly(w, mask);
    if (!fits(w, i, s, callee))
        return;
    s->pc = pc;
    enter_callee(w, s, i->call, callee);
}

static void run_call(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    call_function(w, i, mask, i->call->callee);
}

static void run_call_indirect(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    const uint64_t *address = cue_row_source(w, i->src[0]);
    uint64_t addresses[CUE_WARP];
    memcpy(addresses, address, sizeof addresses);
    while (mask != 0 && w->block->error == CUE_SUCCESS) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask), same = 0;
        for (uint32_t l = lane; l < CUE_WARP; l++)
            same |= (uint32_t)((mask >> l & 1) && addresses[l] == addresses[lane]) << l;
        uint64_t index = (addresses[lane] - CUE_FUNCTION_ADDRESS) / 16 - 1;
        if (index >= w->block->module->function_count) {
            cue_place place = cue_exec_place(w, i, lane);
            cue_report(CUE_OUT_OF_BOUNDS, &place, "call of %#llx, which is no function",
                       (unsigned long long)addresses[lane]);
            cue_block_fault(w->block, CUE_ILLEGAL_INSTRUCTION);
            return;
        }
        mask &= ~same;
        call_function(w, i, same, w->block->module->functions[index]);
    }
}

static void run_ret(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    (void)i;
    if (w->split->depth == 0) {
        cue_warp_end_lanes(w, mask);
        return;
    }
    cue_split *s = exactly(w, mask);
    const cue_frame *frame = &s->frames[s->depth - 1];
    const cue_call *call = frame->call;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(s->mask >> l & 1))
            continue;
        const uint8_t *from = cue_lane_parameters(w, s->depth, l);
        uint8_t *to = cue_lane_parameters(w, s->depth - 1, l);
        for (uint32_t r = 0; r < call->result_count; r++)
            memcpy(to + call->results[r], from + s->function->results[r].offset, call->result_bytes[r]);
    }
    s->depth--;
    s->function = frame->function;
    s->local_base = frame->local_base;
    s->pc = frame->pc;
    if (s == w->split)
        w->pc = s->pc;
}

static void run_exit(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    (void)i;
    cue_warp_end_lanes(w, mask);
}

static void run_trap(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    cue_place place = cue_exec_place(w, i, (uint32_t)__builtin_ctz(mask));
    cue_report(CUE_DEVICE_TRAP, &place, "trap");
    cue_block_fault(w->block, CUE_LAUNCH_FAILURE);
}

/* ---------------------------------------------------------------- selection */
static void take_call_list(cue_decoder *d, uint32_t *offsets, uint32_t *bytes, uint32_t *count, uint32_t limit)
{
    if (!cue_try(d, "("))
        cue_unknown(d, "a list of parameters is expected");
    while (!cue_try(d, ")")) {
        if (*count > 0)
            cue_comma(d);
        const cue_local_symbol *s = cue_find_local(d, d->at);
        if (s == NULL || s->space != CUE_FRAME_PARAM || *count == limit)
            cue_unknown(d, "arguments in anything but parameters");
        offsets[*count] = (uint32_t)s->offset;
        bytes[(*count)++] = s->bytes;
        d->at++;
    }
}

static void select_call(cue_decoder *d)
{
    cue_only_words(d, "uni");
    cue_call *call = cue_pool_take(&d->module->pool, sizeof *call);
    if (cue_token_is(d->at, "(")) {
        take_call_list(d, call->results, call->result_bytes, &call->result_count, 2);
        cue_comma(d);
    }
    uint32_t number;
    bool indirect = cue_find_register(d, d->at, &number) != NULL;
    if (indirect) {
        d->insn.src[0] = cue_source(d, CUE_U64);
        d->function->calls_unknown = true;
    } else {
        call->callee = cue_find_function(d->module, d->at++);
        if (call->callee == NULL)
            cue_unknown(d, "a function that the module does not know");
    }
    if (cue_try(d, ",")) {
        take_call_list(d, call->arguments, call->argument_bytes, &call->argument_count, CUE_MAX_ARGUMENTS);
        if (cue_try(d, ","))
            d->at++; /* the prototype */
    }
    d->insn.call = call;
    d->insn.class = CUE_CLASS_CONTROL;
    d->function->has_calls = true;
    if (indirect) {
        d->insn.run = run_call_indirect;
    } else if (strcmp(call->callee->name, "__assertfail") == 0 && call->argument_count >= 3) {
        d->insn.run = cue_run_assert;
    } else if (strcmp(call->callee->name, "vprintf") == 0 && call->argument_count == 2) {
        d->insn.run = cue_run_printf;
    } else if (call->callee->body == NULL) {
        cue_unknown(d, "a function that the module only declares");
    } else {
        d->insn.run = run_call;
        cue_reference_function(d, call->callee);
    }
}

static void take_label(cue_decoder *d, bool table)
{
    if (d->at->kind != CUE_WORD)
        cue_unknown(d, "a label is expected");
    cue_add_jump(d, d->at++, table);
}

bool cue_select_control(cue_decoder *d)
{
    d->insn.class = CUE_CLASS_CONTROL;
    if (cue_word_is(d, 0, "bra")) {
        cue_only_words(d, "uni");
        d->insn.run = cue_run_branch;
        take_label(d, false);
    } else if (cue_word_is(d, 0, "brx")) {
        cue_only_words(d, "idx uni");
        d->insn.run = run_branch_table;
        d->insn.src[0] = cue_source(d, CUE_U32);
        cue_comma(d);
        take_label(d, true);
    } else if (cue_word_is(d, 0, "call")) {
        select_call(d);
    } else if (cue_word_is(d, 0, "ret") || cue_word_is(d, 0, "exit")) {
        cue_only_words(d, "uni");
        d->insn.run = cue_word_is(d, 0, "ret") ? run_ret : run_exit;
    } else if (cue_word_is(d, 0, "trap") || cue_word_is(d, 0, "brkpt")) {
        cue_only_words(d, "");
        d->insn.run = run_trap;
    } else {
        return false;
    }
    return true;
}
