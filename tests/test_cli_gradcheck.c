/* backprop gradcheck and backprop info: what they say as text and as JSON. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "support/program.h"

static json_t *json_of(char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    cr_assert(value, "%s in: %s", error.text, text);
    free(text);
    return value;
}

Test(cli_gradcheck, passes_on_every_activation_and_loss)
{
    for (int a = 0; a < BP_ACTIVATION_COUNT; a++) {
        for (int l = 0; l < BP_LOSS_COUNT; l++) {
            const char *activation = bp_activation_name((bp_activation)a), *loss = bp_loss_name((bp_loss)l);
            json_t *result = json_of(bpt_succeed("gradcheck --layers 6:%s,5:%s,3 --loss %s --seed %d --json",
                                                 activation, activation, loss, a));
            const json_t *tensors = json_object_get(result, "tensors");
            json_int_t checked = 0, elements = 0;
            for (size_t i = 0; i < json_array_size(tensors); i++) {
                checked += json_integer_value(json_object_get(json_array_get(tensors, i), "checked"));
                elements += json_integer_value(json_object_get(json_array_get(tensors, i), "elements"));
            }
            cr_assert(json_is_true(json_object_get(result, "passed")), "%s %s", activation, loss);
            cr_assert(elements == 8 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3, "%s %s", activation, loss);
            /* kinks are rare: what is left out must not be what is to be shown */
            cr_assert(checked * 10 >= elements * 9, "%s %s: %lld checked", activation, loss, (long long)checked);
            json_decref(result);
        }
    }
}

Test(cli_gradcheck, prints_a_table_and_takes_inputs_and_batch)
{
    char *text = bpt_succeed("gradcheck --layers 4:tanh,2 --loss mse --inputs 3 --batch 7");
    cr_assert(strstr(text, "0.weight                12        12         0"), "%s", text);
    cr_assert(strstr(text, "all gradients agree with central differences\n"), "%s", text);
    free(text);
}

Test(cli_info, tells_of_every_backend_and_why_one_is_not_usable)
{
    json_t *info = json_of(bpt_succeed("info --json --threads 2"));
    cr_assert_str_eq(json_string_value(json_object_get(info, "version")), bp_version());
    const json_t *backends = json_object_get(info, "backends");
    size_t count = 0;
    while (bp_backend_name((int)count))
        count++;
    cr_assert(count >= 3 && json_array_size(backends) == count);
    for (size_t i = 0; i < count; i++) {
        const json_t *backend = json_array_get(backends, i);
        const char *name = json_string_value(json_object_get(backend, "name"));
        cr_assert_str_eq(name, bp_backend_name((int)i));
        bool usable = json_is_true(json_object_get(backend, "usable"));
        const char *words = json_string_value(json_object_get(backend, usable ? "engine" : "reason"));
        cr_assert(words && *words, "%s says nothing", name);
        cr_assert(usable || strcmp(name, "cuda") == 0, "%s is not usable: %s", name, words);
        if (strcmp(name, "cpu") == 0)
            cr_assert(json_integer_value(json_object_get(backend, "threads")) == 2);
    }
    json_decref(info);
    char *text = bpt_succeed("info");
    cr_assert(strstr(text, "oneDNN") && strstr(text, "reference"), "%s", text);
    free(text);
}
