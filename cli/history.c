/* history.c: see history.h. */
#include "history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

typedef struct mean {
    double sum;
    size_t count;
} mean;

static void mean_add(mean *m, double value)
{
    if (!isfinite(value))
        return;
    m->sum += value;
    m->count++;
}

static double mean_value(const mean *m)
{
    return m->count ? m->sum / (double)m->count : (double)NAN;
}

/* The steps from `at` on that belong to the row's epoch; returns the first that doesn't. */
static size_t take_steps(history_row *row, const metrics *m, size_t at)
{
    mean loss = {0}, grad_norm = {0};
    row->lr = row->samples_per_second = (double)NAN;
    for (; at < m->step_count && m->steps[at].epoch == row->epoch; at++) {
        const metric_step *step = &m->steps[at];
        mean_add(&loss, step->loss);
        mean_add(&grad_norm, step->grad_norm);
        row->step = step->step;
        row->lr = step->lr;
        row->samples_per_second = step->samples_per_second;
        row->nonfinite += !isfinite(step->loss);
    }
    row->loss = mean_value(&loss);
    row->grad_norm = mean_value(&grad_norm);
    return at;
}

static size_t take_epoch(history_row *row, const metrics *m, size_t at)
{
    row->test_loss = row->test_accuracy = row->seconds = (double)NAN;
    row->validation_loss = row->validation_accuracy = (double)NAN;
    if (at == m->epoch_count || m->epochs[at].epoch != row->epoch)
        return at;
    row->step = m->epochs[at].step;
    row->test_loss = m->epochs[at].test_loss;
    row->test_accuracy = m->epochs[at].test_accuracy;
    row->seconds = m->epochs[at].epoch_seconds;
    row->tested = m->epochs[at].tested;
    row->validation_loss = m->epochs[at].validation_loss;
    row->validation_accuracy = m->epochs[at].validation_accuracy;
    row->validated = m->epochs[at].validated;
    row->kept = m->epochs[at].best;
    if (isfinite(m->epochs[at].samples_per_second)) /* of this epoch; that of a step is the mean of all before it */
        row->samples_per_second = m->epochs[at].samples_per_second;
    return at + 1;
}

/* Both lists are in the order of time; an epoch may have no line of its own yet, or no logged step. */
static void make_rows(history *h, const metrics *m)
{
    size_t step = 0, epoch = 0;
    while (step < m->step_count || epoch < m->epoch_count) {
        history_row *row = &h->rows[h->count++];
        *row = (history_row){.epoch = INT64_MAX};
        if (step < m->step_count)
            row->epoch = m->steps[step].epoch;
        if (epoch < m->epoch_count && m->epochs[epoch].epoch < row->epoch)
            row->epoch = m->epochs[epoch].epoch;
        step = take_steps(row, m, step);
        epoch = take_epoch(row, m, epoch);
    }
}

static bool is_better(const history *h, const history_row *row, const history_row *best)
{
    if (h->has_validation)
        return row->kept;
    if (!isfinite(h->has_accuracy ? row->test_accuracy : row->test_loss))
        return false;
    if (!best)
        return true;
    return h->has_accuracy ? row->test_accuracy > best->test_accuracy : row->test_loss < best->test_loss;
}

static void judge(history *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->has_accuracy |= isfinite(h->rows[i].test_accuracy);
    for (size_t i = 0; i < h->count; i++)
        h->has_validation |= h->rows[i].validated;
    for (size_t i = 0; i < h->count; i++) {
        const history_row *row = &h->rows[i];
        if (row->tested)
            h->last = row;
        if (is_better(h, row, h->best))
            h->best = row;
    }
}

static void add_up(history *h, const metrics *m)
{
    h->loss = h->seconds = (double)NAN;
    for (size_t i = 0; i < m->step_count; i++) {
        h->loss = m->steps[i].loss;
        h->loss_step = m->steps[i].step;
        if (!isfinite(m->steps[i].loss) && !h->nonfinite++)
            h->nonfinite_step = m->steps[i].step;
    }
    mean seconds = {0};
    for (size_t i = 0; i < m->epoch_count; i++)
        mean_add(&seconds, m->epochs[i].epoch_seconds);
    if (seconds.count)
        h->seconds = seconds.sum;
    if (m->epoch_count)
        h->epochs = m->epochs[m->epoch_count - 1].epoch;
    h->steps = h->count ? h->rows[h->count - 1].step : 0;
}

int history_make(history *h, const metrics *m)
{
    memset(h, 0, sizeof *h);
    /* each row takes a line at least */
    h->rows = calloc(m->step_count + m->epoch_count + 1, sizeof *h->rows);
    if (!h->rows)
        return fail(STATUS_FAILED, "out of memory");
    make_rows(h, m);
    judge(h);
    add_up(h, m);
    return STATUS_OK;
}

void history_free(history *h)
{
    free(h->rows);
    memset(h, 0, sizeof *h);
}
