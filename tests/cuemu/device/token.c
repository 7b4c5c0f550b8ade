/* token.c: see token.h. */
#include "device/token.h"
#include "cuemu.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool begins_word(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '.' || c == '$' || c == '%';
}

static bool in_word(char c)
{
    return begins_word(c) || isdigit((unsigned char)c);
}

static const char *skip_blank(const char *p)
{
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '/' && p[1] == '/') {
            while (*p != '\0' && *p != '\n')
                p++;
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end != NULL ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

static cue_token read_token(const char *p, const char *module_name)
{
    const char *end = p + 1;
    cue_token_kind kind = CUE_MARK;
    if (*p == '\0') {
        return (cue_token){p, 0, CUE_END};
    } else if (begins_word(*p)) {
        kind = CUE_WORD;
        while (in_word(*end) || (end[0] == ':' && end[1] == ':' && in_word(end[2])))
            end += *end == ':' ? 2 : 1;
        if (strncmp(p, ".reg.", 5) == 0) /* NVIDIA's headers write ".reg.b16" */
            end = p + 4;
    } else if (isdigit((unsigned char)*p) || (*p == '-' && isdigit((unsigned char)p[1]))) {
        kind = CUE_NUMBER;
        while (isalnum((unsigned char)*end) || *end == '.')
            end++;
    } else if (*p == '"') {
        kind = CUE_STRING;
        while (*end != '\0' && *end != '"')
            end += *end == '\\' && end[1] != '\0' ? 2 : 1;
        if (*end == '\0')
            cue_fatal("%s: PTX string without end", module_name);
        end++;
    }
    return (cue_token){p, (uint32_t)(end - p), kind};
}

cue_token *cue_tokens(const char *text, cue_pool *pool, const char *module_name)
{
    cue_token *tokens = NULL;
    size_t count = 0, room = 0;
    const char *p = text;
    do {
        p = skip_blank(p);
        tokens = cue_pool_grow(pool, tokens, count, &room, sizeof *tokens);
        tokens[count] = read_token(p, module_name);
        p += tokens[count].length;
    } while (tokens[count++].kind != CUE_END);
    return tokens;
}

bool cue_token_is(const cue_token *token, const char *text)
{
    return strncmp(token->text, text, token->length) == 0 && text[token->length] == '\0' && token->kind != CUE_END;
}

bool cue_token_same(const cue_token *a, const cue_token *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

bool cue_token_number(const cue_token *token, uint64_t *value)
{
    char text[80];
    if (token->kind != CUE_NUMBER || token->length >= sizeof text)
        return false;
    memcpy(text, token->text, token->length);
    text[token->length] = '\0';
    char *end = text + token->length;
    if (text[0] == '0' && (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D')) {
        *value = strtoull(text + 2, &end, 16);
    } else if (text[0] == '0' && (text[1] == 'b' || text[1] == 'B')) {
        *value = strtoull(text + 2, &end, 2);
    } else {
        *value = strtoull(text, &end, 0); /* a leading minus negates modulo 2^64 */
        if (*end == 'U' || *end == 'u')
            end++;
    }
    return *end == '\0';
}
