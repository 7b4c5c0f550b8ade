/* status.h: what every call of the library returns, and how versions and structs are declared.
 *
 * The library never prints, never exits, never aborts. A call that fails returns a status other than BP_STATUS_OK,
 * changes nothing that it does not say it changes, and leaves the words in bp_last_error(context). */
#ifndef BACKPROP_STATUS_H
#define BACKPROP_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define BP_VERSION_MAJOR 0
#define BP_VERSION_MINOR 1
#define BP_VERSION_PATCH 0

#if defined(__GNUC__)
#define BP_API __attribute__((visibility("default")))
#else
#define BP_API
#endif

/* X(ENUM, name, meaning) */
#define BP_STATUS_LIST(X)                                                                                              \
    X(OK, "ok", "success")                                                                                             \
    X(INVALID_ARGUMENT, "invalid_argument", "an argument is null, out of range or does not fit another")               \
    X(OUT_OF_MEMORY, "out_of_memory", "an allocation failed")                                                          \
    X(NOT_FOUND, "not_found", "a file, a tensor, a device or a library is not there")                                  \
    X(IO, "io", "the operating system refused to read or write")                                                       \
    X(BAD_DATA, "bad_data", "a file or an array holds what it must not hold")                                          \
    X(UNSUPPORTED, "unsupported", "this backend, precision or build cannot do it")                                     \
    X(DEVICE, "device", "the device or one of its libraries failed")                                                   \
    X(CANCELLED, "cancelled", "a callback asked to stop")                                                              \
    X(INTERNAL, "internal", "the library broke its own contract: please report it")

typedef enum bp_status {
#define BP_STATUS_ENUM(ENUM, name, meaning) BP_STATUS_##ENUM,
    BP_STATUS_LIST(BP_STATUS_ENUM)
#undef BP_STATUS_ENUM
} bp_status;

/* The name of a status, such as "out_of_memory"; "unknown" for a value that is none. Never NULL, static storage. */
BP_API const char *bp_status_name(bp_status status);

/* The version of the library that runs, as "0.1.0". */
BP_API const char *bp_version(void);

#ifdef __cplusplus
}
#endif
#endif
