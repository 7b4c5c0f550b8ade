/* history.h: a run epoch by epoch, and what came of it: the numbers that `backprop report` prints. */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include <stdbool.h>

#include "metrics.h"

typedef struct history_row {
    int64_t epoch, step;             /* step: the last one of the epoch that is known */
    double loss, grad_norm;          /* means over the logged steps where they are finite */
    double lr, samples_per_second;   /* as the last line said; NaN: none did */
    double test_loss, test_accuracy; /* NaN where the epoch isn't over, or there is no test set */
    double validation_loss, validation_accuracy, seconds;
    int64_t nonfinite;      /* logged steps whose loss is not finite */
    bool tested, validated; /* with a loss that may be NaN */
    bool kept;              /* as the best model so far, by the validation loss */
} history_row;

typedef struct history {
    history_row *rows;
    size_t count;
    int64_t steps;           /* the last step that is known */
    int64_t epochs;          /* that are over */
    int64_t nonfinite;       /* logged steps whose loss is not finite */
    int64_t nonfinite_step;  /* the first of them */
    double seconds;          /* of the epochs that are over; NaN: unknown */
    double loss;             /* the last one logged */
    int64_t loss_step;       /* and its step */
    const history_row *last; /* the last row that was tested, NULL: none */
    const history_row *best; /* that train kept by its validation loss; without validation, of the tested rows that of
                                the highest accuracy, or of the lowest loss where there is none; NULL: no such row */
    bool has_validation;
    bool has_accuracy;
} history;

/* Returns an exit status; free in any case. */
int history_make(history *h, const metrics *m);
void history_free(history *h);

#endif
