/* Every kind of bad input: one clear line, the right exit status, and no file changed or left behind. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

enum { ROWS = 40, INPUTS = 3, CLASSES = 3 };

static void write_arrays(void)
{
    static float x[ROWS * INPUTS], nan[ROWS * INPUTS], wide[ROWS * 5];
    static double values[ROWS];
    static int64_t labels[ROWS], few[ROWS - 1];
    memcpy(nan, x, sizeof nan);
    nan[7 * INPUTS + 2] = (float)strtod("nan", NULL);
    bpt_npy_f32("nan.npy", nan, ROWS, INPUTS);
    bpt_npy_f32("wide.npy", wide, ROWS, 5);
    bpt_npy("fortran.npy", "<f4", "True", "(40, 3)", x, sizeof x);
    bpt_npy("complex.npy", "<c8", "False", "(20, 3)", x, sizeof x);
    bpt_npy("big_endian.npy", ">f4", "False", "(40, 3)", x, sizeof x);
    bpt_npy("short.npy", "<f4", "False", "(40, 3)", x, sizeof x - 4);
    bpt_npy("shape.npy", "<f4", "False", "(40, -3)", x, sizeof x);
    labels[11] = CLASSES;
    bpt_npy_i64("label_high.npy", labels, ROWS);
    labels[11] = -1;
    bpt_npy_i64("label_negative.npy", labels, ROWS);
    bpt_npy_i64("label_few.npy", few, ROWS - 1);
    values[5] = strtod("inf", NULL);
    bpt_npy("target_inf.npy", "<f8", "False", "(40,)", values, sizeof values);
    bpt_text_write("text.npy", "1 2 3\n4 5 6\n");
    bpt_file_write("empty.npy", "", 0);
}

static void write_tables(void)
{
    bpt_text_write("ragged.csv", "a,b,t\n1,2,0\n3,4,1\n5,6\n");
    bpt_text_write("word.csv", "a,b,t\n1,2,0\n3,four,1\n");
    bpt_text_write("hole.csv", "a,b,t\n1,,0\n");
    bpt_text_write("nan.csv", "a,b,t\n1,2,0\n3,nan,1\n");
    bpt_text_write("header.csv", "a,b,t\n");
    bpt_text_write("empty.csv", "");
}

static void truncate_copy(const char *from, const char *to, size_t keep_percent)
{
    size_t size;
    char *bytes = bpt_file_read(from, &size);
    bpt_file_write(to, bytes, size * keep_percent / 100);
    free(bytes);
}

static void write_images(void)
{
    bpt_samples_idx("images.gz", "labels.gz", ROWS, CLASSES);
    truncate_copy("images.gz", "cut.gz", 60);
    bpt_file_write("magic.idx", "\x00\x01\x08\x03\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x07", 17);
    bpt_file_write("short.idx", "\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x07", 17);
    bpt_file_write("float.idx", "\x00\x00\x0d\x03\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x07\x07\x07\x07", 20);
    bpt_file_write("one.idx", "\x00\x00\x08\x01\x00\x00\x00\x01\x00", 9);
}

/* A run, its model, and models that are damaged or of another network. */
static void write_models(void)
{
    free(bpt_succeed("train --x x.npy --y y.npy --layers 4:relu,3 --epochs 1 --batch 16 --out run --backend cpu"));
    free(bpt_succeed("train --x x.npy --y y.npy --layers 5:relu,3 --epochs 1 --batch 16 --out other --backend cpu"));
    truncate_copy("run/model.safetensors", "cut.safetensors", 90);
    bpt_text_write("text.safetensors", "this is no model at all\n");
    bpt_file_write("plain.safetensors", "\x08\0\0\0\0\0\0\0{}      ", 16);
    bpt_text_write("unknown.json", "{\"epochs\": 3, \"bacth\": 8}\n");
    bpt_text_write("type.json", "{\"epochs\": \"3\"}\n");
    bpt_text_write("range.json", "{\"batch\": 0}\n");
    bpt_text_write("twice.json", "{\"batch\": 1, \"batch\": 2}\n");
    bpt_text_write("broken.json", "{\"epochs\": 3,\n \"batch\": }\n");
}

static void enter(void)
{
    bpt_sandbox_enter();
    bpt_samples("", ROWS, INPUTS, CLASSES);
    bpt_samples_csv("t.csv", ROWS, INPUTS, CLASSES);
    write_arrays();
    write_tables();
    write_images();
    write_models();
}

TestSuite(cli_bad_input, .init = enter, .fini = bpt_sandbox_leave);

typedef struct bad_input {
    int status;
    const char *words; /* separated by |: each must be in the message */
    const char *line;
} bad_input;

#define NET " --layers 4:relu,3 --backend cpu"
#define OUT NET " --out new"
#define XY "--x x.npy --y y.npy"
#define MODEL " --model run/model.safetensors --backend cpu"

static const bad_input cases[] = {
    /* files that are not there */
    {1, "none.npy|No such file", "train --x none.npy --y y.npy" OUT},
    {1, "none.csv|No such file", "train --csv none.csv --target t" OUT},
    {1, "none.gz|No such file", "train --idx none.gz labels.gz" OUT},
    {1, "no train-images-idx3-ubyte.gz|folder none", "train --data fashion-mnist --data-dir none" OUT},
    {1, "none.safetensors|No such file", "eval " XY " --model none.safetensors --backend cpu"},
    {1, "none.json|No such file", "train --config none.json --out new"},
    {1, "is a folder|run", "eval " XY " --model run --backend cpu"},
    /* IDX */
    {1, "cut.gz", "train --idx cut.gz labels.gz" OUT},
    {1, "magic.idx", "train --idx magic.idx labels.gz" OUT},
    {1, "short.idx", "train --idx short.idx labels.gz" OUT},
    {1, "float.idx", "train --idx float.idx labels.gz" OUT},
    {1, "one.idx", "train --idx images.gz one.idx" OUT},
    /* CSV: line and column are named */
    {1, "ragged.csv|line 4", "train --csv ragged.csv --target t" OUT},
    {1, "word.csv|line 3|four|b", "train --csv word.csv --target t" OUT},
    {1, "hole.csv|line 2|b", "train --csv hole.csv --target t" OUT},
    {1, "nan.csv|line 3", "train --csv nan.csv --target t" OUT},
    {1, "header.csv", "train --csv header.csv --target t" OUT},
    {1, "empty.csv", "train --csv empty.csv --target t" OUT},
    {1, "t.csv|price", "train --csv t.csv --target price" OUT},
    /* NPY */
    {1, "fortran.npy|Fortran", "train --x fortran.npy --y y.npy" OUT},
    {1, "complex.npy|<c8", "train --x complex.npy --y y.npy" OUT},
    {1, "big_endian.npy|>f4", "train --x big_endian.npy --y y.npy" OUT},
    {1, "short.npy", "train --x short.npy --y y.npy" OUT},
    {1, "shape.npy", "train --x shape.npy --y y.npy" OUT},
    {1, "text.npy", "train --x text.npy --y y.npy" OUT},
    {1, "empty.npy", "train --x empty.npy --y y.npy" OUT},
    {1, "nan.npy|row 7|column 2", "train --x nan.npy --y y.npy" OUT},
    {1, "targets|row 5", "train --x x.npy --y target_inf.npy --layers 1 --loss mse --out new --backend cpu"},
    /* labels and widths */
    {1, "row 11|class 3|3 outputs", "train --x x.npy --y label_high.npy" OUT},
    {1, "row 11|class -1", "train --x x.npy --y label_negative.npy" OUT},
    {1, "label_few.npy|39|40", "train --x x.npy --y label_few.npy" OUT},
    {1, "2 target columns|3 outputs", "train --x x.npy --y v.npy" OUT},
    {1, "class indices|mse", "train " XY " --layers 3 --loss mse --out new --backend cpu"},
    {1, "wide.npy|5|3", "train " XY " --test-x wide.npy --test-y y.npy" OUT},
    {1, "wide.npy|5|3", "eval --x wide.npy --y y.npy" MODEL},
    {1, "wide.npy|5|3", "predict --x wide.npy --out new.npy" MODEL},
    {1, "0.weight|[4, 3]|[4, 5]", "predict --x wide.npy --out new.npy --layers 4:relu,3" MODEL},
    /* networks and optimisers */
    {2, "rleu", "train " XY " --layers 4:rleu,3 --out new --backend cpu"},
    {2, "block 2", "train " XY " --layers 4:relu,0 --out new --backend cpu"},
    {2, "block 2", "train " XY " --layers 4:relu, --out new --backend cpu"},
    {2, "slope", "train " XY " --layers 4:relu:slope=0.1,3 --out new --backend cpu"},
    {2, "momentum", "train " XY OUT " --nesterov"},
    {2, "momentum", "train " XY OUT " --optimizer adam --momentum 0.9"},
    {2, "decay_all|weight_decay", "train " XY OUT " --decay-all"},
    {2, "--weight-decay", "train " XY OUT " --weight-decay -0.1"},
    {2, "--ema", "train " XY OUT " --ema 1"},
    {2, "--ema", "train " XY OUT " --ema -0.5"},
    {2, "--validation", "train " XY OUT " --validation 0"},
    {2, "--validation", "train " XY OUT " --validation 1"},
    {2, "0.001 of 40 samples|without any", "train " XY OUT " --validation 0.001"},
    {2, "--patience|--validation", "train " XY OUT " --patience 3"},
    {2, "--patience", "train " XY OUT " --validation 0.2 --patience 0"},
    {2, "--memory", "train " XY OUT " --memory 0"},
    {2, "--memory", "train " XY OUT " --memory 1e9"},
    {1, "one sample at a time|memory_limit allows 1000", "train " XY OUT " --memory 1000"},
    {1, "batch norm|memory_limit allows 9000",
     "train " XY " --layers 4:relu:bn,3 --out new --backend cpu --memory 9000"},
    {2, "schedule_step", "train " XY OUT " --schedule step"},
    {2, "huber_delta", "train " XY OUT " --huber-delta 2"},
    {2, "--init-gain|0 is out of range", "train " XY OUT " --init-gain 0"},
    {2, "a skip adds|to 9 units", "train " XY " --layers 9:relu:skip,3 --out new --backend cpu"},
    {2, "dropout=1.5", "train " XY " --layers 4:relu:dropout=1.5,3 --out new --backend cpu"},
    {1, "cuda", "train " XY " --layers 3 --out new --backend cuda"},
    {1, "tf32", "train " XY OUT " --precision tf32"},
    {1, "reference", "gradcheck --layers 3 --backend cpu"},
    /* models of another network, damaged models */
    {1, "0.weight|[5, 3]|[4, 3]|another network",
     "predict --x x.npy --out new.npy --layers 4:relu,3 --model other/model.safetensors --backend cpu"},
    {1, "0.weight|[5, 3]|[4, 3]|another network",
     "grads " XY NET " --weights other/model.safetensors --out new.safetensors"},
    {1, "cut.safetensors", "predict --x x.npy --out new.npy --model cut.safetensors --backend cpu"},
    {1, "run/checkpoint.safetensors is a checkpoint|model.safetensors",
     "predict --x x.npy --out new.npy --model run/checkpoint.safetensors --backend cpu"},
    {1, "text.safetensors", "predict --x x.npy --out new.npy --model text.safetensors --backend cpu"},
    {1, "plain.safetensors|layers", "predict --x x.npy --out new.npy --model plain.safetensors --backend cpu"},
    {1, "probabilities", "predict --x x.npy --out new.npy --probabilities --layers 4:relu,3 --loss mse" MODEL},
    /* configurations */
    {2, "unknown.json|bacth|batch", "train --config unknown.json " XY OUT},
    {2, "type.json|epochs|whole number", "train --config type.json " XY OUT},
    {2, "range.json|batch|0 is out of range", "train --config range.json " XY OUT},
    {2, "twice.json|not JSON", "train --config twice.json " XY OUT},
    {2, "broken.json|line 2", "train --config broken.json " XY OUT},
    {1, "cannot read run|directory", "train --config run " XY OUT},
    /* folders and files that can't be written; root may write anywhere, so below a regular file */
    {1, "t.csv/new|Not a directory", "train " XY NET " --out t.csv/new"},
    {1, "t.csv|Not a directory", "train " XY NET " --out t.csv"},
    {1, "t.csv/y.npy", "predict --x x.npy --out t.csv/y.npy" MODEL},
    {1, "run|folder", "predict --x x.npy --out run" MODEL},
    {1, "none/g.safetensors", "grads " XY NET " --weights run/model.safetensors --out none/g.safetensors"},
    /* runs that are there */
    {1, "run holds a run already|--resume", "train " XY NET " --out run"},
    {2, "--layers|4:relu,3|9,3", "train --out run --resume --layers 9,3"},
    {2, "--batch|16|8", "train --out run --resume --batch 8"},
    {2, "--lr|0.5|0.01", "train --out run --resume --lr 0.5"},
    {2, "--seed|7", "train --out run --resume --seed 7"},
};

static void expect_words(const bpt_run *run, const bad_input *c)
{
    char words[256];
    snprintf(words, sizeof words, "%s", c->words);
    for (char *word = strtok(words, "|"); word; word = strtok(NULL, "|"))
        bpt_expect(run, c->status, word, c->line);
}

Test(cli_bad_input, each_gets_one_line_its_status_and_touches_nothing)
{
    char *before = bpt_sandbox_listing();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bpt_run run = bpt_program("%s", cases[i].line);
        expect_words(&run, &cases[i]);
        char *after = bpt_sandbox_listing();
        cr_assert_str_eq(after, before, "%s changed files", cases[i].line);
        free(after);
        bpt_run_free(&run);
    }
    free(before);
}

/* Runs with room for that many bytes a file, expects the words, and that `kept` holds the bytes it held. */
static void expect_full(int64_t room, const char *words, const char *kept, const char *line)
{
    size_t before_size, after_size;
    char *before = bpt_file_read(kept, &before_size);
    bpt_run run = bpt_program_limited(room, "%s", line);
    bpt_expect(&run, 1, words, line);
    char *after = bpt_file_read(kept, &after_size);
    cr_assert(before_size == after_size && memcmp(before, after, after_size) == 0, "%s changed %s", line, kept);
    bpt_run_free(&run);
    free(before);
    free(after);
}

/* LLVM's OpenMP runtime, which a build by clang loads, writes 1 KiB of shared memory as it starts: there must be room
 * for that, and the files must be larger. */
#define ROOM 1100

Test(cli_bad_input, a_full_disk_is_told_and_leaves_the_old_file)
{
    if (BPT_THREAD_SANITIZER)
        cr_skip_test("the thread sanitizer's own files run into the limit on their size");
    static const char predict[] = "predict --x many_x.npy --out y_out.npy" MODEL;
    static const char grads[] = "grads " XY " --layers 64:relu,3 --weights wide/model.safetensors --out g.safetensors";
    bpt_samples("many_", 400, 3, 3);
    free(bpt_succeed("train " XY " --layers 64:relu,3 --epochs 1 --out wide"));
    free(bpt_succeed("%s", predict));
    free(bpt_succeed("%s", grads));
    char *before = bpt_sandbox_listing();
    expect_full(ROOM, "y_out.npy", "y_out.npy", predict);
    expect_full(ROOM, "g.safetensors", "g.safetensors", grads);
    char *after = bpt_sandbox_listing();
    cr_assert_str_eq(after, before, "temporary files were left");
    free(before);
    free(after);
}

Test(cli_bad_input, a_disk_that_fills_up_in_training_leaves_a_run_that_goes_on)
{
    if (BPT_THREAD_SANITIZER)
        cr_skip_test("the thread sanitizer's own files run into the limit on their size");
    static const char line[] = "train " XY NET " --epochs 4 --batch 8 --log-every 1 --out %s";
    bpt_run run = bpt_program_limited(1500, line, "full"); /* enough for config.json, too little for the rest */
    bpt_expect(&run, 1, "File too large", "train on a full disk");
    bpt_expect(&run, 1, " full/", "train on a full disk");
    bpt_run_free(&run);
    free(bpt_succeed("train --out full --resume"));
    free(bpt_succeed(line, "roomy"));
    bpt_file_same("full/model.safetensors", "roomy/model.safetensors");
}
