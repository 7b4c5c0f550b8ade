/* decimal.h: decimal numbers in text, correctly rounded to double, whatever the locale. */
#ifndef BPI_HOST_DECIMAL_H
#define BPI_HOST_DECIMAL_H

/* Parses [+-] digits [. digits] [e [+-] digits] (a point needs a digit on one side) at the start of `text`, which ends
 * with a byte that is no part of a number, such as a zero. Returns where the number ends, NULL where none begins. A
 * number beyond the range of double gives an infinity. */
const char *bpi_decimal_parse(const char *text, double *value);

#endif
