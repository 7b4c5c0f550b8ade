/* merge.h: the JSON files that the processes of one run leave, made into one object. */
#ifndef CUEMU_TOOL_MERGE_H
#define CUEMU_TOOL_MERGE_H

#include <jansson.h>
#include <stdio.h>

/* merge_folder: sums counters and joins reports of all *.json in the folder; NULL with a message where it cannot. */
json_t *merge_folder(const char *folder);
/* merge_report_count: places that were reported. */
size_t merge_report_count(const json_t *merged);
/* print_table: a line per kernel, then what the host did. */
void print_table(const json_t *merged, FILE *out);

#endif
