/* metrics.h: folders of runs with metrics that a test knows. */
#ifndef BPT_METRICS_H
#define BPT_METRICS_H

typedef enum bpt_metrics_kind {
    BPT_METRICS_PLAIN,    /* 2 of 5 epochs of 20 steps, logged every 10 steps */
    BPT_METRICS_OBSERVED, /* the same, its gradients observed at steps 1 and 40, with a warning */
    BPT_METRICS_NAN       /* the same, not finite from step 21 on */
} bpt_metrics_kind;

/* Makes the folder with config.json and metrics.jsonl. */
void bpt_metrics_run(const char *path, bpt_metrics_kind kind);

/* Appends to the run's metrics.jsonl. */
void bpt_metrics_add(const char *path, const char *lines);

#endif
