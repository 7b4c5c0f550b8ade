/* api.c: what every exported function does first and last: the lock, the state of errors, the place of the call.
 *
 * CUDA keeps two kinds of error: the last one of this thread, which cudaGetLastError clears, and a sticky one, left by
 * a kernel that faulted, which every later call returns until the device is reset.
 *
 * CUEMU_FAIL=NAME:N makes the N-th call of NAME fail ("*" counts every call), so that a test can walk through all
 * error paths of a program. */
#include "internal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static cue_site current;
static cudaError_t sticky;
static _Thread_local cudaError_t last;

static void check_last(void)
{
    /* first what is still to run: it may report; then what nobody released */
    pthread_mutex_lock(&lock);
    current = (cue_site){.call = "exit"};
    cue_op_require_all();
    if (sticky != cudaSuccess) /* nothing can be released any more: every call gives the sticky error */
        return;
    cue_handle_report_leaks();
    cue_memory_report_leaks();
    cue_pinned_report_leaks();
    pthread_mutex_unlock(&lock);
}

static void start_once(void)
{
    static bool started;
    if (started)
        return;
    started = true;
    (void)cue_settings_get();
    cue_at_exit(check_last);
    cue_fault_handler_install();
}

/* chosen_to_fail: counts the call; true for the one that CUEMU_FAIL names. */
static bool chosen_to_fail(const char *call)
{
    static const char *wanted;
    static size_t name_length;
    static long countdown = -1;
    if (wanted == NULL) {
        wanted = getenv("CUEMU_FAIL");
        if (wanted == NULL)
            wanted = "";
        const char *colon = strchr(wanted, ':');
        name_length = colon != NULL ? (size_t)(colon - wanted) : strlen(wanted);
        countdown = colon != NULL ? strtol(colon + 1, NULL, 10) : 1;
    }
    if (wanted[0] == '\0')
        return false;
    if (strcmp(wanted, "*") != 0 && wanted[0] != '*' &&
        (strlen(call) != name_length || strncmp(call, wanted, name_length) != 0))
        return false;
    return countdown > 0 && --countdown == 0;
}

static cudaError_t injected_error(const char *call)
{
    if (strstr(call, "Malloc") != NULL || strstr(call, "Alloc") != NULL || strstr(call, "Create") != NULL ||
        strstr(call, "Instantiate") != NULL)
        return cudaErrorMemoryAllocation;
    return cudaErrorUnknown;
}

void cue_lock(void)
{
    pthread_mutex_lock(&lock);
}

void cue_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

cudaError_t cue_enter(const char *call, const void *address, int flags)
{
    pthread_mutex_lock(&lock);
    if (cue_op_running() != 0) {
        cue_site outer = current;
        current = (cue_site){.call = call, .address = address};
        cue_complain(CUE_API, "%s is called from a host function in a stream, where no CUDA call is allowed", call);
        current = outer;
        return cudaErrorNotPermitted;
    }
    current = (cue_site){.call = call, .address = address};
    start_once();
    cue_count("calls", 1);
    if (chosen_to_fail(call))
        return injected_error(call);
    if ((flags & CUE_UNSAFE) != 0) {
        cudaError_t error = cue_capture_check_unsafe();
        if (error != cudaSuccess)
            return error;
    }
    if ((flags & CUE_SYNCHRONISES) == CUE_SYNCHRONISES)
        cue_count("synchronisations", 1);
    if ((flags & CUE_DEVICE) != 0) {
        cue_op_some_progress();
        return sticky;
    }
    return cudaSuccess;
}

cudaError_t cue_leave(cudaError_t error)
{
    if (error != cudaSuccess)
        last = error;
    return cue_leave_quietly(error);
}

cudaError_t cue_leave_quietly(cudaError_t error)
{
    pthread_mutex_unlock(&lock);
    return error;
}

cue_site cue_here(void)
{
    return current;
}

void cue_set_site(cue_site site)
{
    current = site;
}

void cue_complain(cue_report_kind kind, const char *format, ...)
{
    char text[512];
    cue_place place;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cue_site_place(current, &place);
    cue_report(kind, &place, "%s", text);
}

cudaError_t cue_sticky_error(void)
{
    return sticky;
}

void cue_set_sticky_error(cudaError_t error)
{
    if (sticky == cudaSuccess)
        sticky = error;
}

void cue_clear_errors(void)
{
    sticky = cudaSuccess;
    last = cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    pthread_mutex_lock(&lock);
    cudaError_t error = sticky != cudaSuccess ? sticky : last;
    last = cudaSuccess;
    pthread_mutex_unlock(&lock);
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    pthread_mutex_lock(&lock);
    cudaError_t error = sticky != cudaSuccess ? sticky : last;
    pthread_mutex_unlock(&lock);
    return error;
}
