/* fuzz_cli.h: what the targets of the command line share: messages are counted instead of printed. */
#ifndef BPT_FUZZ_CLI_H
#define BPT_FUZZ_CLI_H

#include "fuzz/fuzz.h"

/* Judges the exit status of a command or of a part of one: STATUS_OK without a message of failure, or another with
 * exactly one, since the last call. */
bool fuzz_cli_accepted(int status);

#endif
