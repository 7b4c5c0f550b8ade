/* registry.h: which backends there are, and how one is made. Adding a backend is one line in registry.c. */
#ifndef BPI_HOST_REGISTRY_H
#define BPI_HOST_REGISTRY_H

#include "host/context.h"

/* Makes the backend that `name` asks for ("auto" too) and fills context->backend, precision and reason. */
bp_status bpi_registry_open(bp_context *context, const char *name);

/* Whether a backend can be used here; the words are in the context's error where it can't. */
bp_status bpi_registry_probe(bp_context *context, const char *name);

const char *bpi_registry_name(int index); /* NULL past the end */

#endif
