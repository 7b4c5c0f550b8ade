/* names.c: the names of all enumerations, from the lists in the public headers. */
#include <stddef.h>

#include "backprop/backprop.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* One function a list: the name of `value`, or `otherwise` for a value that is none. */
#define NAME_LOOKUP(names, value, otherwise)                                                                           \
    ((size_t)(value) < COUNT_OF(names) ? (names)[(size_t)(value)] : (otherwise))

#define NAME_OF_2(ENUM, name) name,
#define NAME_OF_3(ENUM, name, more) name,

static const char *const status_names[] = {BP_STATUS_LIST(NAME_OF_3)};
static const char *const precision_names[] = {BP_PRECISION_LIST(NAME_OF_2)};
static const char *const activation_names[] = {BP_ACTIVATION_LIST(NAME_OF_3)};
static const char *const loss_names[] = {BP_LOSS_LIST(NAME_OF_3)};
static const char *const init_names[] = {BP_INIT_LIST(NAME_OF_2)};
static const char *const optimizer_names[] = {BP_OPTIMIZER_LIST(NAME_OF_3)};
static const char *const schedule_names[] = {BP_SCHEDULE_LIST(NAME_OF_2)};
static const char *const warning_names[] = {BP_WARNING_LIST(NAME_OF_2)};

const char *bp_status_name(bp_status status)
{
    return NAME_LOOKUP(status_names, status, "unknown");
}

const char *bp_precision_name(bp_precision precision)
{
    return NAME_LOOKUP(precision_names, precision, NULL);
}

const char *bp_activation_name(bp_activation activation)
{
    return NAME_LOOKUP(activation_names, activation, NULL);
}

const char *bp_loss_name(bp_loss loss)
{
    return NAME_LOOKUP(loss_names, loss, NULL);
}

const char *bp_init_name(bp_init init)
{
    return NAME_LOOKUP(init_names, init, NULL);
}

const char *bp_optimizer_name(bp_optimizer optimizer)
{
    return NAME_LOOKUP(optimizer_names, optimizer, NULL);
}

const char *bp_schedule_name(bp_schedule schedule)
{
    return NAME_LOOKUP(schedule_names, schedule, NULL);
}

const char *bp_warning_name(bp_warning_kind kind)
{
    return NAME_LOOKUP(warning_names, kind, NULL);
}

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *bp_version(void)
{
    return VERSION_TEXT(BP_VERSION_MAJOR, BP_VERSION_MINOR, BP_VERSION_PATCH);
}
