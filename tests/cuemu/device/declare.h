/* declare.h: one declaration of a variable or parameter, wherever it stands: ".align 4 .b8 name[12]". */
#ifndef CUE_DECLARE_H
#define CUE_DECLARE_H

#include "device/ptx.h"

typedef struct cue_declaration {
    cue_token name;
    cue_type type;
    uint32_t align;
    uint64_t bytes;
    bool open; /* name[] */
} cue_declaration;

/* cue_declare: reads from `*at` (after .global, .param, ...) up to what follows the name and its brackets. */
cue_declaration cue_declare(const struct cue_module *module, const cue_token **at);

/* cue_parse_error: names module, token and what was expected; fatal. */
_Noreturn void cue_parse_error(const struct cue_module *module, const cue_token *at, const char *expected);
void cue_expect(const struct cue_module *module, const cue_token **at, const char *mark);
uint64_t cue_expect_number(const struct cue_module *module, const cue_token **at);

uint64_t cue_align_up(uint64_t value, uint64_t align);

#endif
