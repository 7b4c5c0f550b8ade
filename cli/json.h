/* json.h: JSON with the digits that matter, on standard output and in files. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A number to `digits` significant digits; null where it is NaN or infinite, for which JSON has no word. */
json_t *json_digits(double value, int digits);

/* Makes all strings in it plain, as words_plain does; keys stay. Returns false where memory is out. */
bool json_make_plain(json_t *value);

/* One compact line, or indented: the shortest digits that read back as the same numbers. Returns false where the
 * stream failed. Takes over the reference. */
bool json_put(json_t *root, FILE *stream, size_t flags);

/* Indented, to standard output. Returns an exit status. Takes over the reference. */
int json_print(json_t *root);

/* Indented, to a file that is replaced at once. Returns an exit status. */
int json_write_file(const json_t *root, const char *path);

#endif
