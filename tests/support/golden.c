/* See golden.h. */
#include "support/golden.h"
#include "support/matrix.h"

#include <criterion/criterion.h>

json_t *bpt_golden_load(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/golden/%s", BP_SOURCE_DIR, name);
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    cr_assert_not_null(root, "%s: %s, line %d", path, error.text, error.line);
    return root;
}

static int64_t flatten(const json_t *value, double *values, int64_t room)
{
    if (json_is_number(value)) {
        if (room > 0)
            *values = json_number_value(value);
        return 1;
    }
    int64_t count = 0;
    for (size_t k = 0; k < json_array_size(value); ++k)
        count += flatten(json_array_get(value, k), values + count, room - count);
    return count;
}

double *bpt_golden_doubles(const json_t *array, int64_t count)
{
    double *values = bpt_doubles(count);
    int64_t found = flatten(array, values, count);
    cr_assert_eq(found, count, "%lld numbers, should be %lld", (long long)found, (long long)count);
    return values;
}

double bpt_golden_number(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_boolean(value))
        return json_is_true(value) ? 1.0 : 0.0;
    return json_is_number(value) ? json_number_value(value) : otherwise;
}
