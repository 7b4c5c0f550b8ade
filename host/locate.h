/* locate.h (internal): the search for what is not finite, and what bp_train does about it. */
#ifndef BPI_HOST_LOCATE_H
#define BPI_HOST_LOCATE_H

#include "host/trainer.h"

/* bp_trainer_locate on rows of a source. */
bp_status bpi_locate(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows,
                     bp_nonfinite *place);

/* nonfinite.c: how the steps to come take gradients that are not finite. Graphs are recorded anew. */
void bpi_nonfinite_rule_set(bp_trainer *trainer, bpi_nonfinite_rule rule);

/* Takes the flag back from the device, on which steps wait. */
bp_status bpi_nonfinite_release(bp_trainer *trainer);

/* Looks for the place in rows of the data, and tells the log and the callback. `action` for the words. */
bp_status bpi_nonfinite_report(bp_trainer *trainer, const bpi_source *source, const int64_t *index, int64_t rows,
                               const bp_train_options *options);

#endif
