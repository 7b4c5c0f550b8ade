/* machine.h: on what, and with which build, something was timed; and builds that are not timed. */
#ifndef BPB_MACHINE_H
#define BPB_MACHINE_H

#include <stdint.h>

typedef struct bpb_machine {
    char processor[128], host[64], system[64];
    char driver[128];  /* NVIDIA's, "none" where there is none */
    char compiler[64]; /* and its version */
    char build[32], commit[64], date[40];
    int processors; /* online */
    double load;    /* average over the last minute, before the run */
    int64_t memory_bytes;
} bpb_machine;

/* NULL, or why figures of this build would mean nothing, as half a sentence. */
const char *bpb_refusal(void);

void bpb_machine_read(bpb_machine *machine);

/* The first two lines of a program that prints a table: machine and build. */
void bpb_machine_print(const bpb_machine *machine);

/* Peak of the process's resident memory since the last reset, in bytes; 0: this system does not tell. */
int64_t bpb_peak_bytes(void);
/* The peak begins anew at what is resident now, which is returned; 0: this system does not allow it. */
int64_t bpb_peak_reset(void);

#endif
