/* merge.c: sums what several processes counted. See merge.h. */
#include "merge.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* From the C++ library (Itanium C++ ABI): what c++filt uses. */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *length, int *status);

static void add_counters(json_t *total, json_t *part)
{
    const char *name;
    json_t *value;
    json_object_foreach(part, name, value)
    {
        json_int_t sum = json_integer_value(json_object_get(total, name)) + json_integer_value(value);
        json_object_set_new(total, name, json_integer(sum));
    }
}

static void add_kernels(json_t *total, json_t *part)
{
    const char *kernel;
    json_t *counters;
    json_object_foreach(part, kernel, counters)
    {
        if (json_object_get(total, kernel) == NULL)
            json_object_set_new(total, kernel, json_object());
        add_counters(json_object_get(total, kernel), counters);
    }
}

static int add_file(json_t *merged, const char *path)
{
    json_error_t error;
    json_t *part = json_load_file(path, 0, &error);
    if (part == NULL) {
        fprintf(stderr, "cuemu-run: %s:%d: %s\n", path, error.line, error.text);
        return -1;
    }
    json_array_extend(json_object_get(merged, "reports"), json_object_get(part, "reports"));
    add_kernels(json_object_get(merged, "kernels"), json_object_get(part, "kernels"));
    add_counters(json_object_get(merged, "host"), json_object_get(part, "host"));
    json_decref(part);
    return 0;
}

json_t *merge_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        fprintf(stderr, "cuemu-run: %s: %s\n", folder, strerror(errno));
        return NULL;
    }
    json_t *merged = json_pack("{s:[], s:{}, s:{}}", "reports", "kernels", "host");
    for (struct dirent *e = readdir(directory); e != NULL && merged != NULL; e = readdir(directory)) {
        char path[4096];
        size_t length = strlen(e->d_name);
        if (length < 5 || strcmp(e->d_name + length - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (add_file(merged, path) != 0) {
            json_decref(merged);
            merged = NULL;
        }
    }
    closedir(directory);
    return merged;
}

size_t merge_report_count(const json_t *merged)
{
    return json_array_size(json_object_get(merged, "reports"));
}

/* ---------------------------------------------------------------------- table */

static double counter(const json_t *counters, const char *name)
{
    return (double)json_integer_value(json_object_get(counters, name));
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* "row_max<float>" of "_Z7row_maxIfEvPT_PKS0_i": without the type and the parameters. Kept until the program ends. */
static const char *short_name(const char *mangled)
{
    int status = 0;
    char *name = __cxa_demangle(mangled, NULL, NULL, &status);
    if (name == NULL)
        return mangled;
    char *parameters = strchr(name, '(');
    while (parameters != NULL && strncmp(parameters, "(anonymous namespace)", 21) == 0)
        parameters = strchr(parameters + 1, '(');
    if (parameters != NULL)
        *parameters = '\0';
    return strncmp(name, "void ", 5) == 0 ? name + 5 : name;
}

static void print_kernel(const char *name, const json_t *c, FILE *out)
{
    double read = counter(c, "global_read_bytes"), written = counter(c, "global_write_bytes");
    double needed = counter(c, "needed_read_bytes") + counter(c, "needed_write_bytes");
    double sectors = counter(c, "global_read_sectors") + counter(c, "global_write_sectors");
    fprintf(out, "%-40.40s %8.0f %14.0f %14.0f %7.2f %7.2f %10.0f %9.0f %12.0f\n", short_name(name),
            counter(c, "launches"), read, written, ratio(read + written, needed), ratio(32 * sectors, read + written),
            counter(c, "shared_conflicts"), counter(c, "divergent_branches"), counter(c, "warp_instructions"));
}

void print_table(const json_t *merged, FILE *out)
{
    const char *name;
    json_t *value;
    json_t *kernels = json_object_get(merged, "kernels"), *host = json_object_get(merged, "host");
    if (json_object_size(kernels) > 0)
        fprintf(out, "%-40s %8s %14s %14s %7s %7s %10s %9s %12s\n", "kernel", "launches", "bytes read", "bytes written",
                "/needed", "sectors", "conflicts", "diverged", "instructions");
    json_object_foreach(kernels, name, value)
    {
        print_kernel(name, value, out);
    }
    json_object_foreach(host, name, value)
    {
        fprintf(out, "host.%-48s %18lld\n", name, (long long)json_integer_value(value));
    }
}
