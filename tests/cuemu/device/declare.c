/* declare.c: see declare.h. */
#include "device/declare.h"

static const struct {
    const char *name;
    uint32_t bytes;
    bool is_signed;
} types[CUE_TYPE_COUNT] = {
    [CUE_U8] = {"u8", 1, false},         [CUE_U16] = {"u16", 2, false},       [CUE_U32] = {"u32", 4, false},
    [CUE_U64] = {"u64", 8, false},       [CUE_S8] = {"s8", 1, true},          [CUE_S16] = {"s16", 2, true},
    [CUE_S32] = {"s32", 4, true},        [CUE_S64] = {"s64", 8, true},        [CUE_B8] = {"b8", 1, false},
    [CUE_B16] = {"b16", 2, false},       [CUE_B32] = {"b32", 4, false},       [CUE_B64] = {"b64", 8, false},
    [CUE_B128] = {"b128", 16, false},    [CUE_F16] = {"f16", 2, false},       [CUE_F16X2] = {"f16x2", 4, false},
    [CUE_BF16] = {"bf16", 2, false},     [CUE_BF16X2] = {"bf16x2", 4, false}, [CUE_TF32] = {"tf32", 4, false},
    [CUE_F32] = {"f32", 4, false},       [CUE_F64] = {"f64", 8, false},       [CUE_E4M3X2] = {"e4m3x2", 2, false},
    [CUE_E5M2X2] = {"e5m2x2", 2, false}, [CUE_PRED] = {"pred", 1, false},
};

uint32_t cue_type_bytes(cue_type type)
{
    return types[type].bytes;
}

bool cue_type_signed(cue_type type)
{
    return types[type].is_signed;
}

cue_type cue_type_of(const char *word, size_t length)
{
    for (int t = CUE_NO_TYPE + 1; t < CUE_TYPE_COUNT; t++) {
        cue_token token = {word, (uint32_t)length, CUE_WORD};
        if (cue_token_is(&token, types[t].name))
            return (cue_type)t;
    }
    return CUE_NO_TYPE;
}

uint64_t cue_align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) / align * align;
}

void cue_parse_error(const struct cue_module *module, const cue_token *at, const char *expected)
{
    int line = 1;
    for (const char *p = module->text; p < at->text; p++)
        line += *p == '\n';
    cue_fatal("%s: PTX line %d: %s expected before '%.*s'", module->name, line, expected, (int)at->length, at->text);
}

void cue_expect(const struct cue_module *module, const cue_token **at, const char *mark)
{
    if (!cue_token_is(*at, mark))
        cue_parse_error(module, *at, mark);
    (*at)++;
}

uint64_t cue_expect_number(const struct cue_module *module, const cue_token **at)
{
    uint64_t value = 0;
    if (!cue_token_number(*at, &value))
        cue_parse_error(module, *at, "a number");
    (*at)++;
    return value;
}

cue_declaration cue_declare(const struct cue_module *module, const cue_token **at)
{
    cue_declaration d = {0};
    uint32_t elements_per = 1;
    bool pointee = false; /* ".ptr .global .align 16": about what the parameter points to, not about the parameter */
    for (; (*at)->kind == CUE_WORD && (*at)->text[0] == '.'; (*at)++) {
        if (cue_token_is(*at, ".align")) {
            (*at)++;
            uint64_t align = 0;
            if (!cue_token_number(*at, &align) || align == 0 || (align & (align - 1)) != 0)
                cue_parse_error(module, *at, "a power of two");
            if (!pointee)
                d.align = (uint32_t)align;
        } else if (cue_token_is(*at, ".v2") || cue_token_is(*at, ".v4")) {
            elements_per = (*at)->text[2] == '2' ? 2 : 4;
        } else if (cue_token_is(*at, ".ptr")) {
            pointee = true;
        } else if (pointee && (cue_token_is(*at, ".global") || cue_token_is(*at, ".const") ||
                               cue_token_is(*at, ".shared") || cue_token_is(*at, ".local"))) {
            continue;
        } else if ((d.type = cue_type_of((*at)->text + 1, (*at)->length - 1)) == CUE_NO_TYPE) {
            cue_parse_error(module, *at, "a type");
        }
    }
    if ((*at)->kind != CUE_WORD || d.type == CUE_NO_TYPE)
        cue_parse_error(module, *at, "a declaration");
    d.name = *(*at)++;
    d.bytes = (uint64_t)elements_per * cue_type_bytes(d.type);
    if (d.align == 0)
        d.align = (uint32_t)d.bytes;
    while (cue_token_is(*at, "[")) {
        (*at)++;
        if (cue_token_is(*at, "]"))
            d.open = true;
        else
            d.bytes *= cue_expect_number(module, at);
        cue_expect(module, at, "]");
    }
    if (d.open)
        d.bytes = 0;
    return d;
}
