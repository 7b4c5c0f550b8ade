/* decoder.h: what turns the body of a function into code: scopes and labels (decode.c), operands (operand.c), and the
 * choice of a handler for each instruction (select_*.c). */
#ifndef CUE_DECODER_H
#define CUE_DECODER_H

#include "device/declare.h"
#include "device/rows.h"

#include <setjmp.h>

enum { CUE_MAX_WORDS = 14, CUE_MAX_SCOPES = 24 };

typedef struct cue_register {
    cue_token name; /* of a range: the part before the number */
    bool range;
    uint32_t count;
    cue_type type;
    int32_t first; /* row, or predicate */
} cue_register;

typedef struct cue_local_symbol {
    cue_token name;
    cue_space space; /* CUE_LOCAL, CUE_FRAME_PARAM, CUE_ENTRY_PARAM */
    uint64_t offset;
    uint32_t bytes;
} cue_local_symbol;

typedef struct cue_label {
    cue_token name;
    uint32_t scope, at;
} cue_label;

typedef struct cue_jump {
    cue_token name;
    uint32_t scopes[CUE_MAX_SCOPES], depth; /* where it stands, outermost first */
    uint32_t insn;
    bool table; /* brx: name is a .branchtargets label */
} cue_jump;

typedef struct cue_branch_table {
    cue_token name;
    const cue_token *first; /* the labels, until ';' */
    uint32_t scopes[CUE_MAX_SCOPES], depth;
} cue_branch_table;

typedef struct cue_decoder {
    cue_function *function;
    struct cue_module *module;
    const cue_token *at, *statement;
    jmp_buf unknown;
    cue_register *registers;
    size_t register_count, register_room;
    cue_local_symbol *locals;
    size_t local_count, local_room;
    struct {
        uint32_t id;
        size_t registers, locals;
    } scopes[CUE_MAX_SCOPES];
    uint32_t depth, next_scope;
    cue_label *labels;
    size_t label_count, label_room;
    cue_jump *jumps;
    size_t jump_count, jump_room;
    cue_branch_table *tables;
    size_t table_count, table_room;
    size_t code_room, constant_room, special_room, callee_room, shared_room;
    uint32_t location;
    const char *counted_to; /* lines of the PTX text have been counted so far */
    uint32_t ptx_line;

    /* the instruction at hand */
    cue_insn insn;
    cue_token words[CUE_MAX_WORDS]; /* of the opcode, without dots */
    uint32_t word_count;
} cue_decoder;

/* cue_unknown: the statement at hand is not implemented; goes on with the next one. */
_Noreturn void cue_unknown(cue_decoder *d, const char *why);

/* ---- operands: each reads from d->at; commas are read by cue_comma */
void cue_comma(cue_decoder *d);
bool cue_try(cue_decoder *d, const char *mark);
int32_t cue_source(cue_decoder *d, cue_type type);          /* register, immediate, special register, symbol */
int32_t cue_destination(cue_decoder *d);                    /* row, or CUE_NO_ROW for "_" */
int16_t cue_predicate_destination(cue_decoder *d);          /* predicate, or CUE_NO_PREDICATE for "_" */
cue_predicate_source cue_predicate(cue_decoder *d);         /* %p, !%p, 0, 1 */
bool cue_at_predicate(cue_decoder *d);                      /* a predicate register is next */
cue_address cue_bracketed(cue_decoder *d, cue_space space); /* [base+offset] */
uint32_t cue_vector(cue_decoder *d, cue_type type, bool destination); /* {a, b, ...} into insn.elements */
int32_t cue_constant(cue_decoder *d, uint64_t value);                 /* row of a constant */
uint64_t cue_immediate(cue_decoder *d);                               /* an integer that must be known now */
const cue_local_symbol *cue_find_local(const cue_decoder *d, const cue_token *name);
const cue_register *cue_find_register(const cue_decoder *d, const cue_token *name, uint32_t *number);
int32_t cue_new_row(cue_decoder *d);

/* ---- words of the opcode */
bool cue_word_is(const cue_decoder *d, uint32_t i, const char *text);
bool cue_has_word(const cue_decoder *d, const char *text); /* anywhere after the first */
/* cue_only_words: every word after the first is a type or one of these (space separated); else cue_unknown. */
void cue_only_words(cue_decoder *d, const char *allowed);
cue_type cue_word_type(const cue_decoder *d, uint32_t which); /* the which-th type word; CUE_NO_TYPE where absent */
int cue_one_of(cue_decoder *d, const char *const *names);     /* index of the only one that is there; -1 where none */

void cue_add_jump(cue_decoder *d, const cue_token *label, bool table);
uint32_t cue_reference_function(cue_decoder *d, cue_function *callee);

/* ---- selection: fills insn.run and reads the operands; false where the opcode's first word is not its */
bool cue_select_rows(cue_decoder *d);    /* the instruction table */
bool cue_select_move(cue_decoder *d);    /* mov, cvta, selp, slct, isspacep, predicate logic */
bool cue_select_carry(cue_decoder *d);   /* .cc, addc, subc, madc */
bool cue_select_compare(cue_decoder *d); /* setp, set, testp */
bool cue_select_convert(cue_decoder *d); /* cvt */
bool cue_select_memory(cue_decoder *d);  /* ld, st, atom, red, cp.async, prefetch, fences */
bool cue_select_control(cue_decoder *d); /* bra, brx, call, ret, exit, trap */
bool cue_select_warp(cue_decoder *d);    /* shfl, vote, match, redux, activemask, bar.warp, elect */
bool cue_select_matrix(cue_decoder *d);  /* mma, ldmatrix */
bool cue_select_barrier(cue_decoder *d); /* bar, barrier: of the block */

#endif
