/* backprop train --backend cuda, as a person runs it: the same bits on every run and in every order in which streams,
 * blocks and threads may go, and the losses of cpu on a part of Fashion-MNIST. On cuemu the order is chosen by its
 * variables, while the sums of cuBLAS keep one seed; on a device it is whatever comes. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "support/cuemu.h"
#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

TestSuite(cuda_train, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

#define PROGRAM BP_BINARY_DIR "/cli/backprop"

/* Both texts, one behind the other; one of four buffers in turn. */
static const char *joined(const char *first, const char *second)
{
    static char texts[4][512];
    static int next;
    char *here = texts[next++ % 4];
    snprintf(here, sizeof texts[0], "%s%s", first, second);
    return here;
}

static void train(const char *variables, const char *words, const char *folder)
{
    bpt_run run = bpt_command("CUEMU_GEMM_SEED=7 %s " PROGRAM " train %s --out %s", variables, words, folder);
    cr_assert_eq(run.status, 0, "%s: %s: %s", variables, words, run.err);
    bpt_run_free(&run);
}

static void same_model(const char *words)
{
    static const char *const orders[] = {
        "CUEMU_STREAMS=lazy CUEMU_ORDER=forward",
        "CUEMU_STREAMS=eager CUEMU_ORDER=reverse",
        "CUEMU_STREAMS=random CUEMU_ORDER=random CUEMU_SEED=1",
        "CUEMU_STREAMS=random CUEMU_ORDER=random CUEMU_SEED=2",
        "CUEMU_STREAMS=random CUEMU_ORDER=random CUEMU_SEED=3",
    };
    train(orders[0], words, "first");
    train(orders[0], words, "again");
    bpt_file_same("first/model.safetensors", "again/model.safetensors");
    for (size_t k = 1; k < sizeof orders / sizeof orders[0]; k++) {
        char folder[16], model[48];
        snprintf(folder, sizeof folder, "order%zu", k);
        snprintf(model, sizeof model, "%s/model.safetensors", folder);
        train(orders[k], words, folder);
        bpt_file_same("first/model.safetensors", model);
    }
}

Test(cuda_train, of_classes_gives_the_same_bits_in_every_order)
{
    bpt_skip_without_cuda("cuda_test_cuda_train_lazy");
    bpt_samples("", 60, 5, 3);
    same_model("--backend cuda --x x.npy --y y.npy --layers 12:gelu,37:tanh,3 --optimizer adamw --weight-decay 0.01"
               " --clip-norm 1 --schedule cosine --warmup 2 --batch 16 --accumulate 2 --epochs 3");
}

Test(cuda_train, of_values_gives_the_same_bits_in_every_order)
{
    bpt_skip_without_cuda("cuda_test_cuda_train_lazy");
    bpt_samples("", 60, 5, 3);
    same_model("--backend cuda --x x.npy --y v.npy --layers 33:leaky_relu,9:silu,2 --loss mse --lr 0.05 --momentum 0.9"
               " --nesterov --clip-value 0.5 --batch 13 --epochs 2");
}

/* ---- the replay of what was not finite ---- */

/* Trains with a learning rate that diverges, and runs the command that was kept: it names the way of the products, and
 * the same first value. */
static void replay(const char *words, const char *ways, const char *folder)
{
    bpt_run run =
        bpt_command(PROGRAM " train --backend cuda --x x.npy --y v.npy --layers 32:relu,2 --loss mse --lr 1e30"
                            " --batch 20 --epochs 3%s --out %s",
                    words, folder);
    cr_assert(run.status == 1, "%s: %s", words, run.err);
    const char *found = "the first value that is not finite is", *here = strstr(run.err, found);
    cr_assert(here, "%s: %s", words, run.err);
    here = strstr(here, " in block");
    size_t length = strcspn(here, ",");
    char *command = bpt_text_read(joined(folder, "/nonfinite/command.txt"));
    cr_assert(strncmp(command, "backprop grads ", 15) == 0 && strstr(command, ways), "\"%s\" in %s", ways, command);
    char *to = command;
    for (const char *from = command; *from; from++) /* no shell takes the quotes away here */
        if (*from != '\'')
            *to++ = *from;
    *to = '\0';
    bpt_run again = bpt_command(PROGRAM "%s", command + strlen("backprop"));
    cr_assert(again.status == 0 && strstr(again.out, found), "%s: %s%s", command, again.out, again.err);
    char *there = strstr(again.out, " in block");
    cr_assert(there && strncmp(here, there, length) == 0, "%s: %.80s, in the replay %.80s", words, here, there);
    free(command);
    bpt_run_free(&again);
    bpt_run_free(&run);
}

Test(cuda_train, keeps_a_command_that_goes_the_same_ways)
{
    bpt_skip_without_cuda("cuda_test_cuda_train_lazy");
    bpt_samples("", 60, 5, 3);
    replay("", " --precision f32 --batch ", "plain");
    replay(" --ways forward_epilogue,weight_bias", " --ways forward_epilogue,weight_bias ", "ways");
    replay(" --plan plan.json", " --plan 'plan.json' ", "plan");
}

/* ---- Fashion-MNIST ---- */

/* The first bytes of a file of the data set, its count of samples set to fewer. */
static bool cut(const char *name, const char *to, int header, int sample_bytes, int samples)
{
    gzFile from = gzopen(joined("/usr/share/datasets/fashion-mnist/", name), "rb");
    if (!from)
        return false;
    int bytes = header + samples * sample_bytes;
    unsigned char *image = malloc((size_t)bytes);
    cr_assert(image && gzread(from, image, (unsigned)bytes) == bytes, "%s is too short", name);
    gzclose(from);
    for (int k = 0; k < 4; k++)
        image[4 + k] = (unsigned char)(samples >> (8 * (3 - k)));
    FILE *file = fopen(to, "wb");
    cr_assert(file && fwrite(image, 1, (size_t)bytes, file) == (size_t)bytes && fclose(file) == 0);
    free(image);
    return true;
}

enum { SAMPLES = 512, LOSSES = 16 };

/* The losses of all steps, out of metrics.jsonl. */
static int read_losses(const char *path, double *losses)
{
    char *lines = bpt_text_read(path);
    int count = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *entry = json_loads(line, 0, NULL), *step = json_object_get(entry, "step");
        if (step && json_object_get(entry, "grad_norm") && count < LOSSES)
            losses[count++] = json_number_value(json_object_get(entry, "loss"));
        json_decref(entry);
    }
    free(lines);
    return count;
}

/* Of a sum of 784 products either backend may be off by gamma(784) = 4.7e-5 of the sum of their magnitudes, which here
 * is about the size of the logits; twice, as both are off, and once more in the gradients that made the weights. */
Test(cuda_train, on_a_part_of_fashion_mnist_has_the_losses_of_cpu)
{
    bpt_skip_without_cuda("cuda_test_cuda_train_lazy");
    if (!cut("train-images-idx3-ubyte.gz", "images", 16, 784, SAMPLES) ||
        !cut("train-labels-idx1-ubyte.gz", "labels", 8, 1, SAMPLES))
        cr_skip_test("Fashion-MNIST is not installed: Debian's package dataset-fashion-mnist");
    const char *words = "--idx images labels --layers 32:relu,24:relu,10 --batch 64 --epochs 2 --lr 0.1 --momentum 0.5"
                        " --log-every 1";
    double losses[2][LOSSES];
    bpt_run cpu = bpt_command(PROGRAM " train %s --backend cpu --out cpu", words);
    cr_assert_eq(cpu.status, 0, "%s", cpu.err);
    bpt_run_free(&cpu);
    train("", joined(words, " --backend cuda"), "cuda");
    cr_assert_eq(read_losses("cpu/metrics.jsonl", losses[0]), LOSSES);
    cr_assert_eq(read_losses("cuda/metrics.jsonl", losses[1]), LOSSES);
    for (int k = 0; k < LOSSES; k++) {
        double distance = fabs(losses[1][k] - losses[0][k]);
        cr_expect(distance <= 3 * 4.7e-5 * losses[0][k], "step %d: %.9g on cuda, %.9g on cpu", k + 1, losses[1][k],
                  losses[0][k]);
    }
    cr_expect(losses[1][LOSSES - 1] < 0.7 * losses[1][0], "from %g to %g: nothing was learnt", losses[1][0],
              losses[1][LOSSES - 1]);
}
