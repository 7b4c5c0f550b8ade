/* fault.c: SIGSEGV and SIGTRAP. Host code that touches device memory, or pinned memory at the wrong time, is reported
 * at the line that did it. x86-64 Linux. */
#include "internal.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

static struct sigaction previous_segv, previous_trap;
static bool stepping;

enum { TRAP_FLAG = 0x100, ERROR_WRITE = 2, MOST_FRAMES = 32 };

/* The faulting instruction may stand in memcpy or printf: the place is the first frame outside the C library. */
static const void *culprit(const ucontext_t *context)
{
    void *frames[MOST_FRAMES];
    const char *rip = (const char *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    int n = backtrace(frames, MOST_FRAMES), i = 0;
    while (i < n && frames[i] != (const void *)rip)
        i++;
    for (; i < n; i++) {
        Dl_info info;
        if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL)
            continue;
        if (strstr(info.dli_fname, "/libc.so") == NULL && strstr(info.dli_fname, "/libm.so") == NULL)
            return frames[i] == (const void *)rip ? rip + 1 : (const char *)frames[i];
    }
    return rip + 1; /* as if it were a return address */
}

static void pass_on(const struct sigaction *previous, int signal_number, siginfo_t *info, void *context)
{
    if ((previous->sa_flags & SA_SIGINFO) != 0 && previous->sa_sigaction != NULL) {
        previous->sa_sigaction(signal_number, info, context);
    } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signal_number);
    } else {
        signal(signal_number, SIG_DFL); /* the instruction faults again and ends the process */
    }
}

/* True where the program may go on. Otherwise the instruction faults again, and the handler that was there before, or
 * the default one, ends the process. */
static bool handle(void *address, ucontext_t *context)
{
    bool step = false;
    cue_site where = {.call = "host code", .address = culprit(context)}, freed;
    cue_place place;
    if (cue_pending_fault(address, (context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE) != 0, where, &step)) {
        if (step) {
            cue_pending_unguard_page(address);
            context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
            stepping = true;
        }
        return true;
    }
    cue_site_place(where, &place);
    if (cue_mem_is_device(address)) {
        cue_report(CUE_HOST_DEREFERENCE, &place, "host code touches device address %p", address);
        cue_json_write();
        signal(SIGSEGV, SIG_DFL);
        return true;
    }
    if (cue_pinned_was_freed(address, &freed)) {
        cue_report(CUE_USE_AFTER_FREE, &place, "host code touches pinned memory that was freed at %s",
                   cue_site_text(freed.address));
        cue_json_write();
    }
    return false;
}

static void on_segv(int signal_number, siginfo_t *info, void *context)
{
    cue_lock();
    bool go_on = handle(info->si_addr, context);
    cue_unlock();
    if (!go_on)
        pass_on(&previous_segv, signal_number, info, context);
}

static void on_trap(int signal_number, siginfo_t *info, void *context)
{
    if (!stepping) {
        pass_on(&previous_trap, signal_number, info, context);
        return;
    }
    cue_lock();
    stepping = false;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (cue_op_running() == 0)
        cue_pending_guard();
    cue_unlock();
}

void cue_fault_handler_install(void)
{
    void *frame;
    struct sigaction action;
    cue_mem_unlock(); /* the arena has a handler of its own, which must come first and stay behind this one */
    cue_mem_lock();
    (void)backtrace(&frame, 1); /* loads the unwinder now, not inside a handler */
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_segv;
    sigaction(SIGSEGV, &action, &previous_segv);
    action.sa_sigaction = on_trap;
    sigaction(SIGTRAP, &action, &previous_trap);
}
