/* commands.h: every command of the program. Each file exports one. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const cli_command command_train, command_eval, command_predict, command_grads, command_gradcheck, command_verify,
    command_bench, command_report, command_info;

#endif
