/* system_calls.c: functions that a kernel calls and the driver supplies: assert and printf. */
#include "device/exec.h"

#include <stdio.h>
#include <string.h>

static uint64_t argument(const cue_warp *w, const cue_insn *i, uint32_t lane, uint32_t which)
{
    uint64_t value = 0;
    memcpy(&value, cue_lane_parameters(w, w->split->depth, lane) + i->call->arguments[which],
           i->call->argument_bytes[which]);
    return value;
}

/* device_text: a string that a kernel points at; what is not in device memory is not read. */
static const char *device_text(uint64_t address)
{
    void *base;
    size_t bytes;
    const char *text = (const char *)(uintptr_t)address;
    if (!cue_mem_find(text, &base, &bytes) || memchr(text, 0, bytes - (size_t)(text - (char *)base)) == NULL)
        return "?";
    return text;
}

void cue_run_assert(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    cue_place place = cue_exec_place(w, i, lane);
    cue_report(CUE_DEVICE_ASSERT, &place, "%s:%u: assertion '%s' failed", device_text(argument(w, i, lane, 1)),
               (uint32_t)argument(w, i, lane, 2), device_text(argument(w, i, lane, 0)));
    cue_block_fault(w->block, CUE_ASSERT);
}

/* print_one: one conversion, with the argument as C would have it. Returns the bytes of the argument block it took. */
static uint32_t print_one(const char *conversion, size_t length, const uint8_t *arguments, uint32_t at)
{
    char format[40];
    char kind = conversion[length - 1];
    bool is_long = memchr(conversion, 'l', length) != NULL;
    if (length >= sizeof format)
        return at;
    memcpy(format, conversion, length);
    format[length] = '\0';
    uint32_t bytes = strchr("eEfFgGaAsp", kind) != NULL || is_long ? 8 : 4;
    at = (at + bytes - 1) / bytes * bytes;
    uint64_t value = 0;
    memcpy(&value, arguments + at, bytes);
    union {
        uint64_t bits;
        double number;
    } real = {.bits = value};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (strchr("eEfFgGaA", kind) != NULL)
        printf(format, real.number);
    else if (kind == 's')
        printf(format, device_text(value));
    else if (kind == 'p' || is_long)
        printf(format, value);
    else
        printf(format, (uint32_t)value);
#pragma GCC diagnostic pop
    return at + bytes;
}

static void print_lane(cue_warp *w, const cue_insn *i, uint32_t lane)
{
    const char *format = device_text(argument(w, i, lane, 0));
    uint64_t address = argument(w, i, lane, 1);
    const cue_block *b = w->block;
    uint64_t local = address;
    static const uint8_t none[8];
    const uint8_t *arguments = none;
    if (address != 0 && cue_generic_space(b, &local) == CUE_LOCAL && local < b->local_bytes)
        arguments = b->local + (size_t)cue_thread(w, lane) * b->local_bytes + local;
    uint32_t at = 0;
    for (const char *p = format; *p != '\0';) {
        const char *percent = strchr(p, '%');
        if (percent == NULL) {
            fputs(p, stdout);
            break;
        }
        fwrite(p, 1, (size_t)(percent - p), stdout);
        size_t length = 1 + strcspn(percent + 1, "diouxXeEfFgGaAcsp%");
        if (percent[length] == '\0')
            break;
        if (percent[length] == '%')
            fputc('%', stdout);
        else
            at = print_one(percent, length + 1, arguments, at);
        p = percent + length + 1;
    }
}

void cue_run_printf(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1) {
            print_lane(w, i, l);
            if (i->call->result_count > 0)
                memset(cue_lane_parameters(w, w->split->depth, l) + i->call->results[0], 0, i->call->result_bytes[0]);
        }
}
