/* ptx.h: a module as the parser leaves it, and the decoded form that the executor runs.
 *
 * Registers are rows of 32 lanes of 64 bits; predicates are one bit a lane. Each function numbers its own rows; a call
 * takes the next frame of rows. Constants are rows too, with negative numbers. */
#ifndef CUE_PTX_H
#define CUE_PTX_H

#include "cuemu.h"
#include "device/counters.h"
#include "device/pool.h"
#include "device/token.h"

enum { CUE_MAX_VECTOR = 8, CUE_MAX_ARGUMENTS = 24, CUE_NO_ROW = INT32_MAX, CUE_NO_PREDICATE = -1 };

typedef enum cue_type {
    CUE_NO_TYPE,
    CUE_U8,
    CUE_U16,
    CUE_U32,
    CUE_U64,
    CUE_S8,
    CUE_S16,
    CUE_S32,
    CUE_S64,
    CUE_B8,
    CUE_B16,
    CUE_B32,
    CUE_B64,
    CUE_B128,
    CUE_F16,
    CUE_F16X2,
    CUE_BF16,
    CUE_BF16X2,
    CUE_TF32,
    CUE_F32,
    CUE_F64,
    CUE_E4M3X2,
    CUE_E5M2X2,
    CUE_PRED,
    CUE_TYPE_COUNT
} cue_type;

uint32_t cue_type_bytes(cue_type type);
cue_type cue_type_of(const char *word, size_t length); /* without the dot; CUE_NO_TYPE where it is none */
bool cue_type_signed(cue_type type);

typedef enum cue_space {
    CUE_GENERIC,
    CUE_GLOBAL,
    CUE_CONST,
    CUE_SHARED,
    CUE_LOCAL,
    CUE_ENTRY_PARAM, /* parameters of the kernel: one copy for all threads */
    CUE_FRAME_PARAM, /* parameters of calls: one copy a lane and frame */
    CUE_FUNCTION,    /* a symbol only: the address of a device function */
} cue_space;

typedef struct cue_symbol {
    cue_token name;
    cue_space space;
    uint64_t value; /* address, or offset in its space */
    uint64_t bytes;
    uint32_t align;
    bool dynamic;                  /* extern .shared: as large as the launch says */
    struct cue_function *owner;    /* declared inside a function; NULL: in the module */
    struct cue_function *function; /* space CUE_FUNCTION */
} cue_symbol;

/* Where an instruction comes from: the outermost call site, which is the line that people wrote. */
typedef struct cue_location {
    uint32_t file, line, column;
    uint32_t parent; /* index + 1 of the location that this one was inlined at; 0: none */
} cue_location;

struct cue_warp;
struct cue_insn;
typedef uint64_t cue_lane_fn(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
typedef void cue_handler(struct cue_warp *warp, const struct cue_insn *insn, uint32_t mask);

typedef struct cue_address {
    cue_space space;
    int32_t base; /* row, or CUE_NO_ROW */
    int64_t offset;
} cue_address;

typedef struct cue_predicate_source {
    int16_t index; /* CUE_NO_PREDICATE: constant */
    bool negate;   /* constant: its value */
} cue_predicate_source;

typedef enum cue_rounding { CUE_RN, CUE_RZ, CUE_RM, CUE_RP, CUE_RNA } cue_rounding;

typedef struct cue_insn {
    cue_handler *run;
    cue_lane_fn *lane;
    int16_t guard; /* predicate, or CUE_NO_PREDICATE */
    bool guard_negate;
    uint8_t class; /* cue_class */
    uint8_t type, source_type;
    uint8_t rounding;
    bool integer_rounding; /* .rni and its kin */
    bool ftz, sat, relu, satfinite;
    uint8_t what;   /* a choice that the handler knows: comparison, atomic operation, shuffle kind, ... */
    uint8_t join;   /* setp: how to combine with the third predicate */
    uint8_t vector; /* elements of a load or store */
    bool strong;    /* volatile, relaxed, acquire, release: does not race with atomics */
    bool read_only; /* .nc, ld.const */
    bool uniform;
    int32_t dst;                            /* row, or CUE_NO_ROW */
    int16_t dst_predicate, dst_predicate_2; /* or CUE_NO_PREDICATE */
    int32_t src[4];                         /* rows */
    cue_predicate_source predicate[2];
    cue_address address, address_2;
    int32_t elements[CUE_MAX_VECTOR]; /* rows of a vector operand; CUE_NO_ROW for "_" */
    int32_t results[CUE_MAX_VECTOR];  /* atom on a vector: where the old elements go */
    uint32_t target;                  /* of a branch */
    uint32_t location;                /* index in module->locations */
    uint32_t ptx_line;                /* in the text of the module, for code without .loc */
    const struct cue_call *call;
    const uint32_t *targets; /* brx.idx */
    uint32_t target_count;
    cue_token text; /* from the opcode on, for messages */
} cue_insn;

typedef struct cue_call {
    struct cue_function *callee; /* NULL: through src[0] */
    uint32_t argument_count, result_count;
    uint32_t arguments[CUE_MAX_ARGUMENTS], argument_bytes[CUE_MAX_ARGUMENTS]; /* offsets in the caller's frame */
    uint32_t results[2], result_bytes[2];
} cue_call;

typedef struct cue_special_row {
    int32_t row;
    uint8_t special; /* cue_special */
} cue_special_row;

typedef struct cue_function {
    struct cue_module *module;
    char *name;
    bool entry, is_extern, decoded, has_calls, calls_unknown;
    uint32_t index;
    cue_parameter *parameters, *results; /* offsets in the frame's parameters, or in the kernel's */
    cue_token *parameter_names, *result_names;
    uint32_t parameter_count, result_count;
    uint32_t parameter_bytes; /* entry: of the kernel's parameters; else formal results and parameters */
    const cue_token *body, *body_end;
    uint32_t shared_end; /* of an entry: where its own arrays end */
    cue_kernel_info info;

    /* decoded */
    cue_insn *code;
    uint32_t code_count;
    int32_t row_count, predicate_count;
    uint64_t (*constants)[32]; /* row -1 is constants[0]; that one is zero */
    int32_t constant_count;
    cue_special_row *specials;
    uint32_t special_count;
    uint32_t local_bytes, frame_parameter_bytes;
    const char *unimplemented; /* why it must not be launched: instruction, file, line; NULL: it may */
    struct cue_function **callees;
    uint32_t callee_count;
    struct cue_kernel *kernel; /* of an entry that was looked up */
    uint32_t *shared_used;     /* symbols of shared memory that it names */
    uint32_t shared_used_count;
} cue_function;

struct cue_module {
    cue_pool pool;
    const char *name;
    char *text;
    int ptx_version, target;
    cue_function **functions;
    size_t function_count, function_room;
    cue_symbol *symbols;
    size_t symbol_count, symbol_room;
    cue_variable *variables;
    size_t variable_count, variable_room;
    uint32_t shared_static_end; /* dynamic shared memory begins here */
    const char **files;         /* by number in .file */
    size_t file_room;
    cue_location *locations;
    size_t location_count, location_room;
};

/* What a launch needs of a kernel together with all that it calls. */
struct cue_kernel {
    cue_function *function;
    cue_counters *counters;
    int32_t rows, predicates; /* per frame: the largest of kernel and callees */
    uint32_t frame_parameter_bytes;
    uint32_t local_bytes; /* per thread, with room for calls */
    uint32_t max_depth;   /* frames */
    uint32_t *shared;     /* symbols of static shared memory that it can reach */
    uint32_t shared_count;
    bool linked;
    const char *unimplemented; /* in it or in what it calls */
};

#define CUE_FUNCTION_ADDRESS 0x7f0000000000u /* function i has the address of this plus 16 * (i + 1) */

/* cue_parse: everything but the bodies. Fatal on what it does not understand. */
void cue_parse(struct cue_module *module);
/* cue_decode: body of one function to code. What it does not know goes into `unimplemented`. */
void cue_decode(cue_function *function);
/* cue_find_symbol: the function's own, else the module's. */
cue_symbol *cue_find_symbol(struct cue_module *module, const cue_function *function, const cue_token *name);
cue_function *cue_find_function(struct cue_module *module, const cue_token *name);
/* cue_place_of: file and line of an instruction. */
void cue_place_of(const struct cue_module *module, const cue_insn *insn, cue_place *place);
/* cue_kernel_link: fatal where kernel or callees hold what is not implemented. */
void cue_kernel_link(struct cue_kernel *kernel);

#endif
