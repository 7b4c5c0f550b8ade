/* metrics.c: see metrics.h. */
#include "metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

static const int64_t WHOLE_MOST = (int64_t)1 << 53; /* what a curve's double holds, and nothing can overflow with */

void *metric_append(void **items, size_t *count, size_t *room, size_t bytes)
{
    if (*count == *room) {
        size_t more = *room ? 2 * *room : 256;
        void *grown = more > SIZE_MAX / bytes ? NULL : realloc(*items, more * bytes);
        if (!grown) {
            fail(STATUS_FAILED, "out of memory");
            return NULL;
        }
        *items = grown;
        *room = more;
    }
    return (char *)*items + bytes * (*count)++;
}

double metric_real(metric_line *line, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value) && !json_is_number(value) && line->status == STATUS_OK)
        line->status =
            fail(STATUS_FAILED, "%s, line %lld: '%s' must be a number or null", line->path, line->number, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

int64_t metric_whole(metric_line *line, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    bool right = json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= WHOLE_MOST;
    if (!right && line->status == STATUS_OK)
        line->status = fail(STATUS_FAILED, "%s, line %lld: '%s' must be a whole number", line->path, line->number, key);
    return right ? json_integer_value(value) : 0;
}

static int take_step(metrics *m, metric_line *line)
{
    void *items = m->steps;
    metric_step *step = metric_append(&items, &m->step_count, &m->step_room, sizeof *step);
    m->steps = items;
    if (!step)
        return STATUS_FAILED;
    *step = (metric_step){.step = metric_whole(line, line->json, "step"),
                          .epoch = metric_whole(line, line->json, "epoch"),
                          .loss = metric_real(line, line->json, "loss"),
                          .lr = metric_real(line, line->json, "lr"),
                          .grad_norm = metric_real(line, line->json, "grad_norm"),
                          .samples_per_second = metric_real(line, line->json, "samples_per_second")};
    return line->status;
}

static int take_epoch(metrics *m, metric_line *line)
{
    void *items = m->epochs;
    metric_epoch *epoch = metric_append(&items, &m->epoch_count, &m->epoch_room, sizeof *epoch);
    m->epochs = items;
    if (!epoch)
        return STATUS_FAILED;
    *epoch = (metric_epoch){.step = metric_whole(line, line->json, "step"),
                            .epoch = metric_whole(line, line->json, "epoch"),
                            .test_loss = metric_real(line, line->json, "test_loss"),
                            .test_accuracy = metric_real(line, line->json, "test_accuracy"),
                            .validation_loss = metric_real(line, line->json, "validation_loss"),
                            .validation_accuracy = metric_real(line, line->json, "validation_accuracy"),
                            .epoch_seconds = metric_real(line, line->json, "epoch_seconds"),
                            .samples_per_second = metric_real(line, line->json, "samples_per_second"),
                            .tested = json_object_get(line->json, "test_loss") != NULL,
                            .validated = json_object_get(line->json, "validation_loss") != NULL,
                            .best = json_is_true(json_object_get(line->json, "best"))};
    return line->status;
}

/* Warnings and the value that is not finite are told in the words that train found for them. */
static int take_words(metrics *m, metric_line *line, const char *key)
{
    if (!json_is_object(json_object_get(line->json, key)))
        return fail(STATUS_FAILED, "%s, line %lld: '%s' must be an object", line->path, line->number, key);
    metric_whole(line, line->json, "step");
    json_t *kept = json_deep_copy(line->json);
    if (strcmp(key, "warning") != 0 && !m->nonfinite) {
        m->nonfinite = kept;
        return line->status;
    }
    if (!m->warnings)
        m->warnings = json_array();
    if (json_array_append_new(m->warnings, kept) != 0)
        return fail(STATUS_FAILED, "out of memory");
    return line->status;
}

static int take_line(metrics *m, metric_line *line)
{
    if (json_object_get(line->json, "observation"))
        return metric_take_observation(m, line);
    if (json_object_get(line->json, "warning"))
        return take_words(m, line, "warning");
    if (json_object_get(line->json, "nonfinite_value"))
        return m->nonfinite ? STATUS_OK : take_words(m, line, "nonfinite_value");
    if (json_object_get(line->json, "loss"))
        TRY(take_step(m, line));
    if (json_object_get(line->json, "seconds"))
        TRY(take_epoch(m, line));
    return STATUS_OK;
}

/* *torn_at: the number of a line that is not an object, 0: none so far. It is an error once another line follows. */
static int read_line(metrics *m, metric_line *line, const char *text, size_t length, long long *torn_at)
{
    if (*torn_at)
        return fail(STATUS_FAILED, "%s, line %lld: not a JSON object", line->path, *torn_at);
    json_t *json = json_loadb(text, length, 0, NULL);
    int status = STATUS_OK;
    line->json = json;
    if (json_is_object(json))
        status = take_line(m, line);
    else
        *torn_at = line->number;
    json_decref(json);
    return status;
}

int metrics_read(metrics *m, const char *path)
{
    metric_line line = {.path = path};
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    long long torn_at = 0;
    int status = STATUS_OK;
    memset(m, 0, sizeof *m);
    FILE *file = fopen(path, "r");
    if (!file)
        return fail(STATUS_FAILED, "cannot read %s: %s; RUN is a folder that backprop train --out wrote", path,
                    strerror(errno));
    while (status == STATUS_OK && (length = getline(&text, &size, file)) > 0) {
        line.number++;
        status = read_line(m, &line, text, (size_t)length, &torn_at);
    }
    if (status == STATUS_OK && ferror(file))
        status = fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    free(text);
    fclose(file);
    return status;
}

void metrics_free(metrics *m)
{
    free(m->steps);
    free(m->epochs);
    free(m->observations);
    free(m->layers);
    free(m->blocks);
    json_decref(m->warnings);
    json_decref(m->nonfinite);
    memset(m, 0, sizeof *m);
}
