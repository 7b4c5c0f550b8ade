/* token.h: PTX text as tokens. A word holds its dots ("add.rn.f32", ".reg", "%tid.x"); a number its sign ("-1",
 * "0f3F800000"); everything else is one character. */
#ifndef CUE_TOKEN_H
#define CUE_TOKEN_H

#include "device/pool.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum cue_token_kind { CUE_WORD, CUE_NUMBER, CUE_STRING, CUE_MARK, CUE_END } cue_token_kind;

typedef struct cue_token {
    const char *text;
    uint32_t length;
    cue_token_kind kind;
} cue_token;

/* cue_tokens: all tokens of the text, the last of kind CUE_END. They point into the text. */
cue_token *cue_tokens(const char *text, cue_pool *pool, const char *module_name);

bool cue_token_is(const cue_token *token, const char *text);
bool cue_token_same(const cue_token *a, const cue_token *b);

/* cue_token_number: 64 bits of an integer or of a float in hex (0f: the 32 bits, 0d: the 64 bits). */
bool cue_token_number(const cue_token *token, uint64_t *value);

#endif
