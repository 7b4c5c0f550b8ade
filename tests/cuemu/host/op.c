/* op.c: the graph of operations that a program has enqueued, with a vector clock for each.
 *
 * "a before b" is a question to b's clock (clock.c), and does not depend on when or in which order the operations were
 * really run: that is the mode's choice (at once, as late as possible, by chance). */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct cue_op {
    cue_op_id id;
    int references;
    bool done, needed;
    cue_work work; /* payload owned */
    cue_op **deps; /* those that had not run when this one was made */
    int dep_count;
    cue_clock clock;
    double finished_at;
};

/* What stays of every operation: enough to order it and to name it. */
typedef struct past {
    int lane;
    uint32_t sequence;
    unsigned stream;
    const char *name;
    const void *site;
    cue_op *op; /* NULL once it is gone */
} past;

static past *history; /* [0] is the host */
static size_t history_count = 1, history_room;
static cue_op **pending; /* in the order of their ids; the ones that have run are swept out now and then */
static size_t pending_count, pending_room;
static const cue_op *running;

/* grow: room for one more element; fatal where there is no memory, as a test cannot go on without its checker. */
static void *grow(void *array, size_t count, size_t *room, size_t element)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : 64;
    array = realloc(array, *room * element);
    if (array == NULL)
        cue_fatal("no memory for the record of operations");
    return array;
}

static void *allocate(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (p == NULL)
        cue_fatal("no memory for an operation");
    return p;
}

/* ---------------------------------------------------------------------- order */

bool cue_op_before(cue_op_id a, cue_op_id b)
{
    if (a == 0 || a == b)
        return true;
    const cue_op *later = b < history_count ? history[b].op : NULL;
    if (later == NULL) /* the host asks */
        return cue_host_knows(a);
    const past *earlier = &history[a];
    return cue_clock_covers(&later->clock, earlier->lane, earlier->sequence);
}

bool cue_host_knows(cue_op_id op)
{
    return op == 0 || cue_host_clock_covers(history[op].lane, history[op].sequence);
}

void cue_host_joins(const cue_op *op)
{
    if (op != NULL)
        cue_host_clock_join(&op->clock);
}

const char *cue_op_name(cue_op_id op)
{
    static char text[2][320]; /* two may stand in one report */
    static int turn;
    if (op == 0 || op >= history_count)
        return "the host";
    const past *p = &history[op];
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "%s on stream %u, enqueued at %s", p->name, p->stream,
             cue_site_text(p->site));
    return text[turn];
}

void cue_op_place(cue_op_id op, cue_place *place)
{
    static char text[320];
    cue_site_place(cue_op_site(op), place);
    snprintf(text, sizeof text, "%s on stream %u", history[op].name, history[op].stream);
    place->kernel = text;
}

cue_site cue_op_site(cue_op_id op)
{
    return (cue_site){.call = history[op].name, .address = history[op].site};
}

bool cue_op_has_run(cue_op_id op)
{
    return op == 0 || history[op].op == NULL || history[op].op->done;
}

/* ---------------------------------------------------------------------- making and dropping */

cue_op *cue_op_hold(cue_op *op)
{
    if (op != NULL)
        op->references++;
    return op;
}

void cue_op_release(cue_op *op)
{
    if (op == NULL || --op->references > 0)
        return;
    history[op->id].op = NULL;
    free((void *)(uintptr_t)op->work.payload);
    free(op->deps);
    cue_clock_free(&op->clock);
    free(op);
}

bool cue_op_is_done(const cue_op *op)
{
    return op == NULL || op->done;
}

double cue_op_finished_at(const cue_op *op)
{
    return op->finished_at;
}

cue_op_id cue_op_running(void)
{
    return running != NULL ? running->id : 0;
}

static void remember(cue_op *op, int lane, unsigned stream)
{
    history = grow(history, history_count, &history_room, sizeof *history);
    history[history_count] = (past){.lane = lane,
                                    .sequence = cue_clock_step(&op->clock, lane),
                                    .stream = stream,
                                    .name = op->work.name,
                                    .site = op->work.site.address,
                                    .op = op};
    op->id = (cue_op_id)history_count++;
}

cue_op *cue_op_new(int lane, unsigned stream_number, const cue_work *work, cue_op *const *deps, int dep_count)
{
    cue_op *op = allocate(sizeof *op);
    op->references = 2; /* the caller's and the pending list's */
    op->work = *work;
    void *payload = allocate(work->payload_bytes);
    if (work->payload_bytes > 0)
        memcpy(payload, work->payload, work->payload_bytes);
    op->work.payload = payload;
    op->clock = cue_clock_of_host();
    op->deps = allocate(sizeof *op->deps * (size_t)dep_count);
    for (int i = 0; i < dep_count; i++) {
        if (deps[i] == NULL)
            continue;
        cue_clock_join(&op->clock, &deps[i]->clock);
        if (!deps[i]->done)
            op->deps[op->dep_count++] = cue_op_hold(deps[i]);
    }
    remember(op, lane, stream_number);
    pending = grow(pending, pending_count, &pending_room, sizeof *pending);
    pending[pending_count++] = op;
    if (work->kind == CUE_WORK_MEMCPY)
        cue_copy_started(op->id, payload);
    return op;
}

/* ---------------------------------------------------------------------- running */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void count_launch(const cue_op *op)
{
    char name[48];
    if (op->work.kind != CUE_WORK_KERNEL && op->work.kind != CUE_WORK_LIBRARY)
        return;
    snprintf(name, sizeof name, "kernel_launches.stream%u", history[op->id].stream);
    cue_count("kernel_launches", 1);
    cue_count(name, 1);
}

static void run(cue_op *op)
{
    const cue_op *outer = running;
    running = op;
    op->done = true;
    if (op->work.run != NULL && cue_sticky_error() == cudaSuccess) {
        count_launch(op);
        cue_pending_open(op->id, op->work.kind == CUE_WORK_HOST);
        if (op->work.kind == CUE_WORK_MEMCPY)
            cue_pending_check_source(op->id);
        op->work.run(op->id, op->work.payload, op->work.payload_bytes);
        cue_pending_close();
    }
    op->finished_at = seconds_now();
    running = outer;
    for (int i = 0; i < op->dep_count; i++)
        cue_op_release(op->deps[i]);
    op->dep_count = 0;
    free((void *)(uintptr_t)op->work.payload);
    op->work.payload = NULL;
}

static void sweep(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < pending_count; i++) {
        if (pending[i]->done)
            cue_op_release(pending[i]);
        else
            pending[kept++] = pending[i];
    }
    pending_count = kept;
}

/* Marks op and all that it needs, without recursion: a stream that nobody waits for can be long. */
static void mark_needed(cue_op *op)
{
    cue_op **stack = NULL;
    size_t count = 0, room = 0;
    stack = grow(stack, count, &room, sizeof *stack);
    stack[count++] = op;
    op->needed = true;
    while (count > 0) {
        cue_op *top = stack[--count];
        for (int i = 0; i < top->dep_count; i++) {
            cue_op *dep = top->deps[i];
            if (dep->done || dep->needed)
                continue;
            dep->needed = true;
            stack = grow(stack, count, &room, sizeof *stack);
            stack[count++] = dep;
        }
    }
    free(stack);
}

/* What an operation needs has a smaller id, so that one pass in the order of ids runs everything in time. */
void cue_op_require(cue_op *op)
{
    if (op == NULL || op->done)
        return;
    mark_needed(op);
    for (size_t i = 0; i < pending_count; i++)
        if (pending[i]->needed && !pending[i]->done)
            run(pending[i]);
    sweep();
}

static bool is_ready(const cue_op *op)
{
    for (int i = 0; i < op->dep_count; i++)
        if (!op->deps[i]->done)
            return false;
    return !op->done;
}

/* Runs one ready operation that chance chooses; false where none is pending. */
static bool run_any(void)
{
    cue_op *chosen = NULL;
    uint32_t seen = 0;
    for (size_t i = 0; i < pending_count; i++)
        if (is_ready(pending[i]) && cue_random(++seen) == 0)
            chosen = pending[i];
    if (chosen == NULL)
        return false;
    run(chosen);
    sweep();
    return true;
}

void cue_op_require_all(void)
{
    if (cue_settings_get()->streams == CUE_STREAMS_RANDOM) {
        while (run_any())
            continue;
        return;
    }
    for (size_t i = 0; i < pending_count; i++)
        if (!pending[i]->done)
            run(pending[i]);
    sweep();
}

void cue_op_some_progress(void)
{
    if (cue_settings_get()->streams != CUE_STREAMS_RANDOM || running != NULL)
        return;
    while (pending_count > 0 && cue_random(2) == 0)
        if (!run_any())
            break;
}

void cue_op_after_enqueue(cue_op *op)
{
    if (cue_settings_get()->streams == CUE_EAGER)
        cue_op_require(op);
    else
        cue_op_some_progress();
}
