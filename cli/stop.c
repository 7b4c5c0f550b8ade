/* stop.c: see stop.h. */
#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

/* A signal handler has nowhere else to write to. */
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    if (caught) {
        signal(number, SIG_DFL);
        raise(number);
    }
    caught = number;
}

void stop_watch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction action, before;
        memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART; /* files are written while it comes */
        sigemptyset(&action.sa_mask);
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

int stop_signal(void)
{
    return caught;
}

const char *stop_signal_name(void)
{
    return caught == SIGINT ? "SIGINT" : caught == SIGTERM ? "SIGTERM" : "SIGHUP";
}
