/* The program itself where no CUDA device can be used, on the libraries that the machine has: `info`, `train --backend
 * auto` and `--backend cpu` go on, `--backend cuda` ends with status 1, and all say in one line what is missing and
 * what to do. Causes that the machine has not are made: files that are not there, and a driver of a few functions
 * (test_cuda_device has the words for more of them). */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"
#include "support/samples.h"
#include "support/sandbox.h"

TestSuite(cli_device, .init = bpt_sandbox_enter, .fini = bpt_sandbox_leave);

#define PROGRAM BP_BINARY_DIR "/cli/backprop"
#define PLUGIN "libbackprop_cuda.so"
#define TRAIN " train --x x.npy --y y.npy --layers 4:relu,3 --batch 8 --epochs 1 --backend "

/* ---------------------------------------------------------------- what is said */

static void holds_all(const char *text, const char *const words[3], const char *where)
{
    for (int i = 0; i < 3; i++)
        cr_expect(strstr(text, words[i]), "%s: no \"%s\" in: %s", where, words[i], text);
}

static char *succeed(const char *variables, const char *words)
{
    bpt_run run = bpt_command("%s " PROGRAM "%s", variables, words);
    bpt_expect(&run, 0, NULL, words);
    free(run.err);
    return run.out;
}

static void info_tells(const char *variables, const char *const words[3])
{
    char *out = succeed(variables, " info"), *line = strstr(out, "\ncuda       not usable here: ");
    cr_assert(line && strstr(out, "\ncpu        ") && strstr(out, "\nauto       is cpu here\n"), "%s", out);
    cr_expect(!strstr(line, "not usable here: backend cuda"), "says it twice: %s", out);
    *strchr(line + 1, '\n') = '\0';
    holds_all(line, words, "info");
    free(out);
    out = succeed(variables, " info --json");
    json_t *root = json_loads(out, 0, NULL);
    const char *automatic, *reason;
    cr_assert(root && json_unpack(root, "{ss ss}", "auto", &automatic, "auto_reason", &reason) == 0, "%s", out);
    cr_expect_str_eq(automatic, "cpu");
    holds_all(reason, words, "info --json");
    json_decref(root);
    free(out);
}

/* Of the cause that the variables make, with its words. */
static void cpu_goes_on(const char *variables, const char *const words[3])
{
    bpt_samples("", 24, 5, 3);
    info_tells(variables, words);
    char *out = succeed(variables, TRAIN "auto --out auto");
    char *line = strstr(out, "\n           no cuda: ");
    cr_assert(strstr(out, "\nbackend    cpu: ") && line, "%s", out);
    *strchr(line + 1, '\n') = '\0';
    holds_all(line, words, "train --backend auto");
    free(out);
    free(succeed(variables, TRAIN "cpu --out cpu"));
    bpt_file_same("auto/model.safetensors", "cpu/model.safetensors");
    bpt_run run = bpt_command("%s " PROGRAM TRAIN "cuda --out cuda", variables);
    bpt_expect(&run, 1, words[0], "train --backend cuda");
    holds_all(run.err, words, "train --backend cuda");
    cr_expect(!bpt_file_exists("cuda/model.safetensors"));
    bpt_run_free(&run);
}

/* ---------------------------------------------------------------- files that are not there */

/* The library alone in this folder, where the program finds it first, and the plug-in is looked for. */
static const char *library_here(void)
{
    char *listed = NULL;
    for (int major = 0; major < 10 && !listed; major++) {
        char name[32], path[1024];
        snprintf(name, sizeof name, "libbackprop.so.%d", major);
        snprintf(path, sizeof path, BP_BINARY_DIR "/%s", name);
        if (!bpt_file_exists(path))
            continue;
        bpt_run run = bpt_command("ln -s %s %s", path, name);
        cr_assert_eq(run.status, 0, "%s", run.err);
        bpt_run_free(&run);
        return "LD_LIBRARY_PATH=.";
    }
    cr_assert_fail("no libbackprop.so in " BP_BINARY_DIR);
    return NULL;
}

Test(cli_device, without_the_plug_in_says_where_it_looked_and_what_makes_it)
{
    cpu_goes_on(library_here(), (const char *const[3]){PLUGIN " is not installed", "looked in ./ and the system's",
                                                       "a build where nvcc and cuBLAS are found makes it"});
}

#ifdef BPT_WITH_CUDA
/* The plug-in in this folder, as if a library that it names had another name: one that no machine has. */
static const char *plug_in_wants(const char *library, const char *instead)
{
    size_t length = strlen(library), found = 0;
    cr_assert_eq(length, strlen(instead));
    FILE *from = fopen(BP_BINARY_DIR "/" PLUGIN, "rb"), *to = fopen(PLUGIN, "wb");
    cr_assert(from && to && fseek(from, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(from);
    char *bytes = malloc(size);
    rewind(from);
    cr_assert(bytes && fread(bytes, 1, size, from) == size);
    for (size_t at = 0; at + length <= size; at++)
        if (memcmp(bytes + at, library, length) == 0) {
            memcpy(bytes + at, instead, length);
            found++;
        }
    cr_assert(found > 0, "the plug-in does not name %s", library);
    cr_assert(fwrite(bytes, 1, size, to) == size && fclose(to) == 0);
    fclose(from);
    free(bytes);
    return library_here();
}

Test(cli_device, without_the_runtime_names_it_and_what_to_install)
{
    cpu_goes_on(plug_in_wants("libcudart.so.", "libcudaxx.so."),
                (const char *const[3]){"./" PLUGIN " can't be loaded", "libcudaxx.so.",
                                       "install the libraries of CUDA (cudart, cuBLAS)"});
}

Test(cli_device, without_cublas_names_it_and_what_to_install)
{
    cpu_goes_on(plug_in_wants("libcublas.so.", "libcublxx.so."),
                (const char *const[3]){"./" PLUGIN " can't be loaded", "libcublxx.so.",
                                       "or name their folder in LD_LIBRARY_PATH"});
}
/* ---------------------------------------------------------------- drivers */

Test(cli_device, without_a_driver_names_it_and_the_version_to_install)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY);
    if (driver)
        cr_skip_test("this machine has an NVIDIA driver");
    cpu_goes_on("", (const char *const[3]){"there is no NVIDIA driver (libcuda.so.1)", "install one for CUDA 1",
                                           "or use the backend cpu"});
}

/* As much of a driver as the runtime asks before it gives up. */
static const char *driver_here(int version, int status_of_init)
{
    char source[256];
    snprintf(source, sizeof source,
             "int cuInit(unsigned flags) { (void)flags; return %d; }\n"
             "int cuDriverGetVersion(int *version) { *version = %d; return 0; }\n",
             status_of_init, version);
    bpt_text_write("driver.c", source);
    bpt_run made = bpt_command("cc -shared -fPIC -o libcuda.so.1 driver.c");
    cr_assert_eq(made.status, 0, "%s", made.err);
    bpt_run_free(&made);
    return "LD_LIBRARY_PATH=.";
}

Test(cli_device, with_an_old_driver_names_both_versions)
{
    cpu_goes_on(driver_here(11080, 0), (const char *const[3]){"the NVIDIA driver is too old: it knows CUDA 11.8",
                                                              "and this needs 1", "install a newer driver"});
}

Test(cli_device, without_a_device_says_that_the_driver_is_there)
{
    cpu_goes_on(driver_here(99000, 100), (const char *const[3]){"the NVIDIA driver is there",
                                                                "but no device is visible", "CUDA_VISIBLE_DEVICES"});
}
#endif
