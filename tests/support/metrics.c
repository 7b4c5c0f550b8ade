/* metrics.c: see metrics.h. */
#include "support/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "support/sandbox.h"

static const char config[] = "{\"layers\": \"4:relu,4:relu,4:relu,3\", \"loss\": \"softmax_cross_entropy\", "
                             "\"optimizer\": \"sgd\", \"lr\": 0.1, \"schedule\": \"cosine\", \"clip-norm\": 1.0, "
                             "\"batch\": 16, \"accumulate\": 2, \"epochs\": 5}\n";

static FILE *open_metrics(const char *path)
{
    char name[256];
    snprintf(name, sizeof name, "%s/metrics.jsonl", path);
    FILE *file = fopen(name, "a");
    cr_assert(file, "cannot write %s", name);
    return file;
}

void bpt_metrics_add(const char *path, const char *lines)
{
    FILE *file = open_metrics(path);
    fputs(lines, file);
    fclose(file);
}

static void put_step(FILE *file, int step, double loss, double norm, double lr)
{
    fprintf(file,
            "{\"step\":%d,\"epoch\":%d,\"loss\":%.9g,\"lr\":%.9g,\"grad_norm\":%.9g,\"samples_per_second\":150}\n",
            step, step > 20 ? 2 : 1, loss, lr, norm);
}

/* Layers whose gradients are a factor of a thousand apart. */
static void put_observation(FILE *file, int step, double norm)
{
    fprintf(file, "{\"step\":%d,\"epoch\":%d,\"observation\":{\"grad_norm\":%.9g,\"clip_factor\":0.5,\"tensors\":{",
            step, step > 20 ? 2 : 1, norm);
    for (int block = 1; block <= 4; block++)
        fprintf(file,
                "%s\"%d.weight\":{\"block\":%d,\"norm\":%.9g,\"update_ratio\":%.9g},"
                "\"%d.bias\":{\"block\":%d,\"norm\":7,\"update_ratio\":null}",
                block > 1 ? "," : "", 2 * block - 2, block, norm * pow(1000, block - 4), 2e-3 * pow(1000, block - 4),
                2 * block - 2, block);
    fprintf(file, "},\"layers\":[");
    for (int block = 1; block < 4; block++)
        fprintf(file, "{\"block\":%d,\"activation\":\"relu\",\"units\":4,\"dead\":0.25,\"off\":0.5},", block);
    fprintf(file, "{\"block\":4,\"activation\":\"identity\",\"units\":3}]}}\n");
}

static void put_second_epoch(FILE *file, bpt_metrics_kind kind)
{
    if (kind == BPT_METRICS_NAN) {
        fputs("{\"step\":20,\"epoch\":2,\"loss\":null,\"lr\":0.07,\"grad_norm\":null,\"samples_per_second\":150}\n"
              "{\"step\":30,\"epoch\":2,\"nonfinite_value\":{\"block\":2,\"tensor\":\"z\",\"row\":1,\"column\":2,"
              "\"value\":\"nan\",\"text\":\"z of block 2 is nan\"}}\n"
              "{\"step\":20,\"epoch\":2,\"loss\":null,\"lr\":0.05,\"grad_norm\":null,\"samples_per_second\":150}\n"
              "{\"step\":20,\"epoch\":2,\"test_loss\":null,\"test_accuracy\":0.1,\"samples_per_second\":300,"
              "\"epoch_seconds\":1.5,\"seconds\":3.5}\n",
              file);
        return;
    }
    put_step(file, 30, 0.7, 2, 0.07);
    put_step(file, 40, 0.5, 1, 0.05);
    if (kind == BPT_METRICS_OBSERVED)
        put_observation(file, 40, 1);
    fputs("{\"step\":40,\"epoch\":2,\"test_loss\":0.85,\"test_accuracy\":0.7,\"samples_per_second\":300,"
          "\"epoch_seconds\":1.5,\"seconds\":3.5}\n",
          file);
}

void bpt_metrics_run(const char *path, bpt_metrics_kind kind)
{
    char name[256];
    cr_assert(mkdir(path, 0777) == 0, "cannot make %s", path);
    snprintf(name, sizeof name, "%s/config.json", path);
    bpt_text_write(name, config);
    FILE *file = open_metrics(path);
    if (kind == BPT_METRICS_OBSERVED)
        put_observation(file, 1, 10);
    put_step(file, 10, 2, 4, 0.1);
    put_step(file, 20, 1, 2, 0.09);
    if (kind == BPT_METRICS_OBSERVED)
        fputs("{\"step\":20,\"epoch\":1,\"warning\":{\"kind\":\"vanishing\",\"block\":3,\"value\":1e-6,\"limit\":1e-3,"
              "\"text\":\"the gradient vanishes below block 3\",\"remedy\":\"use relu\"}}\n",
              file);
    fputs("{\"step\":20,\"epoch\":1,\"test_loss\":0.9,\"test_accuracy\":0.75,\"samples_per_second\":200,"
          "\"epoch_seconds\":2,\"seconds\":2}\n",
          file);
    put_second_epoch(file, kind);
    fclose(file);
}
