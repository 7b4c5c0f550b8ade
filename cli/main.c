/* main.c: backprop COMMAND OPTIONS. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "message.h"

static const cli_command *const commands[] = {&command_train, &command_eval,      &command_predict,
                                              &command_grads, &command_gradcheck, &command_verify,
                                              &command_bench, &command_report,    &command_info};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const char *command_name(const void *user, int index)
{
    (void)user;
    return index < COMMAND_COUNT ? commands[index]->name : NULL;
}

static const char *option_name(const void *user, int index)
{
    static const char *const names[] = {"--help", "--version"};
    (void)user;
    return index < 2 ? names[index] : NULL;
}

static const cli_command *find_command(const char *name)
{
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int print_help(void)
{
    printf("Usage: backprop COMMAND [OPTIONS]\n\nTrains dense feed-forward networks, on a CPU or a GPU.\n\nCommands\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-11s %s\n", commands[i]->name, commands[i]->summary);
    printf("\nOptions\n  --help      prints this; backprop COMMAND --help tells of one command\n"
           "  --version   prints the version\n");
    return STATUS_OK;
}

static int run_command(int argc, char **argv)
{
    const cli_command *command = find_command(argv[0]);
    if (!command) {
        const char *kind = argv[0][0] == '-' ? "option" : "command";
        const char *near = nearest_name(argv[0], argv[0][0] == '-' ? option_name : command_name, NULL);
        if (near)
            return fail(STATUS_USAGE, "there is no %s '%s'; did you mean %s?", kind, argv[0], near);
        return fail(STATUS_USAGE, "there is no %s '%s'; see backprop --help", kind, argv[0]);
    }
    message_set_command(command->name);
    option_set options;
    bool help;
    options_init(&options, command);
    int status = options_parse(&options, argc, argv, &help);
    if (status == STATUS_OK && help)
        help_command(command);
    else if (status == STATUS_OK)
        status = command->run(&options);
    options_free(&options);
    return status;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return fail(STATUS_USAGE, "no command given; see backprop --help");
    if (strcmp(argv[1], "--version") == 0) {
        printf("backprop %s\n", bp_version());
        return STATUS_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    return run_command(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");  /* only what characters the terminal shows: numbers keep their point in every locale */
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to tell, not a reason to die */
    int status = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_OK)
        status = fail(STATUS_FAILED, "cannot write to standard output: %s", strerror(errno));
    return status;
}
