/* ways_plan.c: the file that holds how a trainer's products are run: made once on a device, read from then on.
 *
 * JSON: {"backprop_plan": 1, what it was made for, "chosen": "measured" or "by rule", "blocks": [{"block", "inputs",
 * "outputs", "ways": [names]}], "trials": [{"block", "way", "without_us", "with_us", "taken", "reason"}]}. The trials
 * are for people; what is read is what it was made for, and the ways. */
#include "host/ways_plan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "host/file.h"
#include "host/trainer.h"

enum { PLAN_VERSION = 1, MOST_BYTES = 64 << 20 };

bp_status bpi_wish_of(bp_context *context, const bp_trainer_options *options, bpi_wish *wish)
{
    *wish = (bpi_wish){.each = NULL};
    if (!options->plan)
        return bpi_ways_parse(context, options->ways, &wish->all);
    if (options->ways)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "plan and ways are both given: a plan names the ways");
    if (!context->backend->ops->linear_way || !context->backend->ops->linear_time)
        return BPI_FAIL(context, BP_STATUS_UNSUPPORTED, "plan: backend %s runs products in one way alone",
                        context->backend->ops->name);
    wish->chosen = true;
    wish->all = (1u << BPI_WAYS) - 1; /* room for what any of them keeps */
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- out */

static json_t *made_for(const bpi_pass *pass)
{
    const bp_model *model = pass->model;
    const bpi_backend *backend = model->context->backend;
    return json_pack("{si ss ss ss ss sI sI}", "backprop_plan", PLAN_VERSION, "library", bp_version(), "backend",
                     backend->ops->name, "engine", backend->traits.engine, "layers", model->layers_text, "inputs",
                     (json_int_t)model->inputs, "rows", (json_int_t)pass->rows);
}

static json_t *names_of(unsigned ways)
{
    json_t *names = json_array();
    for (int way = 0; way < BPI_WAYS; way++)
        if (bpi_goes(ways, (bpi_way)way))
            json_array_append_new(names, json_string(bpi_way_name((bpi_way)way)));
    return names;
}

static json_t *microseconds(double seconds)
{
    return seconds > 0.0 ? json_real(1e6 * seconds) : json_null();
}

static json_t *describe(const bpi_pass *pass, const bpi_ways_measured *measured)
{
    const bp_model *model = pass->model;
    json_t *root = made_for(pass), *blocks = json_array(), *trials = json_array();
    for (int64_t i = 0; i < model->layer_count; i++)
        json_array_append_new(blocks,
                              json_pack("{sI sI sI so}", "block", (json_int_t)i + 1, "inputs",
                                        (json_int_t)model->layers[i].inputs, "outputs",
                                        (json_int_t)model->layers[i].outputs, "ways", names_of(measured->ways[i])));
    for (int64_t t = 0; t < measured->trial_count; t++) {
        const bpi_way_trial *trial = &measured->trials[t];
        json_array_append_new(trials, json_pack("{sI ss so so sb ss}", "block", (json_int_t)trial->index + 1, "way",
                                                bpi_way_name(trial->way), "without_us", microseconds(trial->before_s),
                                                "with_us", microseconds(trial->after_s), "taken", trial->taken,
                                                "reason", trial->reason));
    }
    json_object_set_new(root, "chosen", json_string(measured->timed ? "measured" : "by rule"));
    json_object_set_new(root, "blocks", blocks);
    json_object_set_new(root, "trials", trials);
    return root;
}

static bp_status save(const bpi_pass *pass, const char *path, const bpi_ways_measured *measured)
{
    bp_context *context = pass->model->context;
    json_t *root = describe(pass, measured);
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    if (!text)
        return BPI_FAIL(context, BP_STATUS_OUT_OF_MEMORY, "plan: no memory for the text of %s", path);
    bpi_out_file file;
    bp_status status = bpi_out_file_open(context, path, &file);
    if (status == BP_STATUS_OK) {
        status = bpi_out_file_write(&file, text, strlen(text));
        if (status == BP_STATUS_OK)
            status = bpi_out_file_write(&file, "\n", 1);
        if (status == BP_STATUS_OK)
            status = bpi_out_file_commit(&file);
        bpi_out_file_abandon(&file);
    }
    free(text);
    return status;
}

/* ---------------------------------------------------------------- in */

static bp_status bad(bp_context *context, const char *path, const char *what)
{
    return BPI_FAIL(context, BP_STATUS_BAD_DATA, "plan %s: %s", path, what);
}

/* Every value that `made_for` has must be the file's. */
static bp_status check(const bpi_pass *pass, const char *path, const json_t *root)
{
    bp_context *context = pass->model->context;
    json_t *ours = made_for(pass);
    const char *key;
    json_t *value;
    bp_status status = ours ? BP_STATUS_OK : bad(context, path, "no memory to check it");
    json_object_foreach(ours, key, value)
    {
        const json_t *theirs = json_object_get(root, key);
        if (status != BP_STATUS_OK || (theirs && json_equal(theirs, value)))
            continue;
        char *text[2] = {json_dumps(value, JSON_ENCODE_ANY), theirs ? json_dumps(theirs, JSON_ENCODE_ANY) : NULL};
        status = BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                          "plan %s: it was made where %s is %.200s, and here it is %.200s: remove the file to have it "
                          "measured anew, or name another",
                          path, key, text[1] ? text[1] : "not known", text[0] ? text[0] : "?");
        free(text[0]);
        free(text[1]);
    }
    json_decref(ours);
    return status;
}

static bp_status read_block(const bpi_pass *pass, const char *path, const json_t *block, unsigned *ways)
{
    bp_context *context = pass->model->context;
    const json_t *names = json_object_get(block, "ways");
    size_t index;
    json_t *name;
    if (!json_is_array(names))
        return bad(context, path, "a block has no ways");
    *ways = 0;
    json_array_foreach(names, index, name)
    {
        unsigned one;
        if (!json_is_string(name))
            return bad(context, path, "a way is no text");
        BPI_TRY(bpi_ways_parse(context, json_string_value(name), &one));
        *ways |= one;
    }
    return BP_STATUS_OK;
}

static bp_status read_blocks(const bpi_pass *pass, const char *path, const json_t *root, unsigned *ways)
{
    bp_context *context = pass->model->context;
    const json_t *blocks = json_object_get(root, "blocks");
    BPI_TRY(check(pass, path, root));
    if (!json_is_array(blocks) || (int64_t)json_array_size(blocks) != pass->model->layer_count)
        return bad(context, path, "its blocks are not those of the network");
    for (int64_t i = 0; i < pass->model->layer_count; i++)
        BPI_TRY(read_block(pass, path, json_array_get(blocks, (size_t)i), &ways[i]));
    return BP_STATUS_OK;
}

bp_status bpi_ways_plan_parse(const bpi_pass *pass, const char *path, const char *text, size_t length, unsigned *ways)
{
    json_error_t error;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return bad(pass->model->context, path, "it is no JSON object");
    }
    bp_status status = read_blocks(pass, path, root, ways);
    json_decref(root);
    return status;
}

static bp_status load(const bpi_pass *pass, bpi_in_file *file, unsigned *ways)
{
    bp_context *context = pass->model->context;
    size_t bytes = (size_t)file->bytes;
    char *text;
    if (file->bytes > MOST_BYTES)
        return bad(context, file->path, "it is too long for a plan");
    BPI_TRY(bpi_alloc(context, bytes, file->path, (void **)&text));
    bp_status status = bpi_in_file_read(file, text, bytes);
    if (status == BP_STATUS_OK)
        status = bpi_ways_plan_parse(pass, file->path, text, bytes, ways);
    bpi_free(context, text, bytes);
    return status;
}

/* ---------------------------------------------------------------- the call */

/* All ways of a file must be gone: it was made here. */
static bp_status take(bpi_pass *pass, const char *path)
{
    bpi_plan_set *set;
    BPI_TRY(bpi_pass_replan(pass));
    BPI_TRY(bpi_pass_plans(pass, pass->rows, &set));
    for (int64_t i = 0; i < pass->model->layer_count; i++)
        if (set->ways[i] != pass->wish.each[i])
            return BPI_FAIL(pass->model->context, BP_STATUS_UNSUPPORTED,
                            "plan %s: block %lld can't go all the ways that it names; remove the file to have it "
                            "measured anew",
                            path, (long long)i + 1);
    return BP_STATUS_OK;
}

static bp_status measure(bpi_pass *pass, const char *path)
{
    bpi_ways_measured measured;
    size_t bytes = (size_t)pass->model->layer_count * sizeof *pass->wish.each;
    BPI_TRY(bpi_ways_measure(pass, &measured));
    memcpy(pass->wish.each, measured.ways, bytes);
    bp_status status = save(pass, path, &measured);
    bpi_ways_measured_free(pass, &measured);
    return status;
}

bp_status bpi_ways_plan(bpi_pass *pass, const char *path)
{
    bp_context *context = pass->model->context;
    bpi_in_file file = {.context = context};
    bp_status status = bpi_in_file_open(context, path, &file);
    if (status == BP_STATUS_NOT_FOUND) {
        context->error.text[0] = '\0';
        BPI_TRY(measure(pass, path));
        return take(pass, path);
    }
    BPI_TRY(status);
    status = load(pass, &file, pass->wish.each);
    bpi_in_file_close(&file);
    BPI_TRY(status);
    return take(pass, path);
}
