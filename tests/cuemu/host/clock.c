/* clock.c: vector clocks.
 *
 * A lane is a sequence of operations that are totally ordered: a stream has one, and each branch of a graph. A clock
 * holds, per lane, the last operation that is known to come before. The host is not a lane: what it has waited for is a
 * clock that every later operation starts from. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static uint32_t *sequence; /* of the last operation in each lane */
static bool *given_back;
static cue_clock host; /* always as long as there are lanes */
static int lane_count;

/* A lane that was given back can serve again once the host has waited for its last operation: then all that follows
 * is ordered after it, and the lane is still a sequence. */
int cue_lane_new(void)
{
    for (int i = 0; i < lane_count; i++)
        if (given_back[i] && host.seen[i] == sequence[i]) {
            given_back[i] = false;
            return i;
        }
    size_t n = (size_t)lane_count + 1;
    sequence = realloc(sequence, n * sizeof *sequence);
    given_back = realloc(given_back, n * sizeof *given_back);
    host.seen = realloc(host.seen, n * sizeof *host.seen);
    if (sequence == NULL || given_back == NULL || host.seen == NULL)
        cue_fatal("no memory for a lane");
    sequence[lane_count] = 0;
    given_back[lane_count] = false;
    host.seen[lane_count] = 0;
    host.lanes = lane_count + 1;
    return lane_count++;
}

void cue_lane_release(int lane)
{
    given_back[lane] = true;
}

cue_clock cue_clock_of_host(void)
{
    cue_clock c = {.seen = malloc(sizeof *c.seen * ((size_t)lane_count + 1)), .lanes = lane_count};
    if (c.seen == NULL)
        cue_fatal("no memory for a clock");
    if (lane_count > 0)
        memcpy(c.seen, host.seen, sizeof *c.seen * (size_t)lane_count);
    return c;
}

void cue_clock_free(cue_clock *clock)
{
    free(clock->seen);
    clock->seen = NULL;
}

void cue_clock_join(cue_clock *clock, const cue_clock *other)
{
    for (int i = 0; i < other->lanes; i++)
        if (clock->seen[i] < other->seen[i])
            clock->seen[i] = other->seen[i];
}

uint32_t cue_clock_step(cue_clock *clock, int lane)
{
    return clock->seen[lane] = ++sequence[lane];
}

bool cue_clock_covers(const cue_clock *clock, int lane, uint32_t number)
{
    return lane < clock->lanes && clock->seen[lane] >= number;
}

bool cue_host_clock_covers(int lane, uint32_t number)
{
    return cue_clock_covers(&host, lane, number);
}

void cue_host_clock_join(const cue_clock *clock)
{
    cue_clock_join(&host, clock);
}

void cue_host_joins_all(void)
{
    if (lane_count > 0)
        memcpy(host.seen, sequence, sizeof *sequence * (size_t)lane_count);
}
