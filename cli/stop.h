/* stop.h: SIGINT, SIGTERM and SIGHUP ask a run to stop after the step; the second one ends the process at once. */
#ifndef CLI_STOP_H
#define CLI_STOP_H

/* From now on signals are noted. One that the process was started with as ignored (nohup) stays ignored. */
void stop_watch(void);

/* The signal that came, 0 for none; and its name. */
int stop_signal(void);
const char *stop_signal_name(void);

#endif
