/* train_nonfinite.c: what `backprop train` keeps of the first step whose gradient is not finite: RUN/nonfinite with
 * x.npy, y.npy, model.safetensors and command.txt, which computes the batch once more; and a line of metrics.jsonl. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "message.h"
#include "nonfinite.h"
#include "replace.h"
#include "train.h"

#define NAME_OF(ENUM, name) name,

typedef struct kept {
    char folder[PATH_MAX], x[PATH_MAX], y[PATH_MAX], weights[PATH_MAX];
} kept;

static bool name_files(const training *t, kept *k)
{
    bool fits = snprintf(k->folder, PATH_MAX, "%s/nonfinite", t->run.path) < PATH_MAX - 64;
    snprintf(k->x, PATH_MAX, "%.*s/x.npy", PATH_MAX - 32, k->folder);
    snprintf(k->y, PATH_MAX, "%.*s/y.npy", PATH_MAX - 32, k->folder);
    snprintf(k->weights, PATH_MAX, "%.*s/model.safetensors", PATH_MAX - 32, k->folder);
    return fits;
}

/* Class indices as NPY int64 [rows]: a header of 128 bytes, then the numbers, little-endian as the machine. */
static int write_classes(const char *path, const int64_t *classes, int64_t rows)
{
    char header[128];
    replacement file;
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int length = snprintf(header + 10, sizeof header - 10,
                          "{'descr': '<i8', 'fortran_order': False, 'shape': (%lld,), }", (long long)rows);
    header[10 + length] = ' ';
    header[sizeof header - 1] = '\n';
    TRY(replace_open(&file, path));
    fwrite(header, 1, sizeof header, file.stream); /* replace_commit reports what the file refused */
    fwrite(classes, sizeof *classes, (size_t)rows, file.stream);
    return replace_commit(&file);
}

static int write_batch(training *t, const kept *k, const bp_nonfinite_report *report)
{
    if (mkdir(k->folder, 0777) != 0 && errno != EEXIST)
        return fail(STATUS_FAILED, "cannot make the folder %s: %s", k->folder, strerror(errno));
    TRY(check_library(t->context, bp_npy_write(t->context, k->x, report->x, report->rows, bp_data_inputs(t->data))));
    if (report->classes)
        TRY(write_classes(k->y, report->classes, report->rows));
    else
        TRY(check_library(t->context,
                          bp_npy_write(t->context, k->y, report->targets, report->rows, bp_data_target_cols(t->data))));
    return check_library(t->context, bp_model_save(t->model, k->weights));
}

/* Options of the loss that are not the usual ones, for the command. */
static void put_loss(const training *t, char *text, size_t size)
{
    const settings *v = &t->options->values;
    int used = snprintf(text, size, "--loss %s", bp_loss_name(bp_model_loss(t->model)));
    if (v->label_smoothing > 0)
        used += snprintf(text + used, size - (size_t)used, " --label-smoothing %.17g", v->label_smoothing);
    if (v->loss == BP_LOSS_HUBER)
        snprintf(text + used, size - (size_t)used, " --huber-delta %.17g", v->huber_delta);
}

/* How the products were run, where that was asked for. */
static void put_ways(const settings *v, char *text, size_t size)
{
    *text = '\0';
    if (v->ways)
        snprintf(text, size, " --ways %s", v->ways);
    if (v->plan)
        snprintf(text, size, " --plan '%s'", v->plan);
}

/* The same batch, parameters, micro-batches, masks of dropout, precision and ways of products; so the same values. */
static int write_command(const training *t, const kept *k, int64_t step)
{
    char path[PATH_MAX], loss[160], ways[PATH_MAX + 16];
    replacement file;
    const settings *v = &t->options->values;
    snprintf(path, sizeof path, "%.*s/command.txt", PATH_MAX - 32, k->folder);
    put_loss(t, loss, sizeof loss);
    put_ways(v, ways, sizeof ways);
    TRY(replace_open(&file, path));
    fprintf(
        file.stream,
        "backprop grads --x '%s' --y '%s' --layers %s %s --weights '%s' --backend %s --precision %s%s%s --batch %lld "
        "--seed %lld --step %lld --out '%s/gradients.safetensors'\n",
        k->x, k->y, bp_model_layers(t->model), loss, k->weights, bp_context_backend(t->context),
        bp_precision_name(bp_context_precision(t->context)), v->emulate_bf16 ? " --emulate-bf16" : "", ways,
        (long long)v->batch, (long long)v->seed, (long long)step, k->folder);
    return replace_commit(&file);
}

void report_nonfinite(void *user, const bp_nonfinite_report *report)
{
    training *t = user;
    const bp_nonfinite *place = &report->place;
    kept k;
    static const char *const actions[] = {BP_NONFINITE_LIST(NAME_OF)};
    const char *action = actions[t->options->values.on_nonfinite];
    json_t *value = nonfinite_json(place, report->sample);
    json_object_set_new(value, "action", json_string(action));
    run_metrics(&t->run, json_pack("{sI sI so}", "step", (json_int_t)place->step - 1, "epoch",
                                   (json_int_t)report->epoch, "nonfinite_value", value));
    t->warned = true; /* the library tells of it, and so does the end of the run */
    if (name_files(t, &k) && write_batch(t, &k, report) == STATUS_OK && write_command(t, &k, place->step) == STATUS_OK)
        t->batch_kept = true;
}
