/* symbol.c: device variables and constants by the address of their host shadow. */
#include "internal.h"

static cudaError_t symbol_range(const void *symbol, size_t bytes, size_t offset, char **out)
{
    const cue_variable *v = cue_variable_find(symbol);
    if (v == NULL) {
        cue_complain(CUE_API, "%p is not a device variable", symbol);
        return cudaErrorInvalidSymbol;
    }
    if (offset > v->bytes || bytes > v->bytes - offset) {
        cue_complain(CUE_API, "bytes %zu to %zu of variable %s, which has %zu", offset, offset + bytes, v->name,
                     v->bytes);
        return cudaErrorInvalidValue;
    }
    *out = (char *)v->address + offset;
    return cudaSuccess;
}

static cudaError_t copy_symbol(const void *symbol, const void *host, void *host_out, size_t bytes, size_t offset,
                               enum cudaMemcpyKind kind, cudaStream_t stream, bool synchronous)
{
    char *address;
    cudaError_t error = symbol_range(symbol, bytes, offset, &address);
    if (error != cudaSuccess)
        return error;
    return host_out != NULL ? cue_copy(host_out, address, bytes, kind, stream, synchronous)
                            : cue_copy(address, host, bytes, kind, stream, synchronous);
}

cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *source, size_t bytes, size_t offset,
                               enum cudaMemcpyKind kind)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : copy_symbol(symbol, source, NULL, bytes, offset, kind, NULL, true));
}

cudaError_t cudaMemcpyToSymbolAsync(const void *symbol, const void *source, size_t bytes, size_t offset,
                                    enum cudaMemcpyKind kind, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error
                                          : copy_symbol(symbol, source, NULL, bytes, offset, kind, stream, false));
}

cudaError_t cudaMemcpyFromSymbol(void *destination, const void *symbol, size_t bytes, size_t offset,
                                 enum cudaMemcpyKind kind)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = copy_symbol(symbol, NULL, destination, bytes, offset, kind, NULL, true);
    return cue_leave(error);
}

cudaError_t cudaMemcpyFromSymbolAsync(void *destination, const void *symbol, size_t bytes, size_t offset,
                                      enum cudaMemcpyKind kind, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess)
        error = copy_symbol(symbol, NULL, destination, bytes, offset, kind, stream, false);
    return cue_leave(error);
}

cudaError_t cudaGetSymbolAddress(void **address, const void *symbol)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    char *start = NULL;
    if (error == cudaSuccess)
        error = address == NULL ? cudaErrorInvalidValue : symbol_range(symbol, 0, 0, &start);
    if (error == cudaSuccess)
        *address = start;
    return cue_leave(error);
}

cudaError_t cudaGetSymbolSize(size_t *bytes, const void *symbol)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const cue_variable *v = error == cudaSuccess ? cue_variable_find(symbol) : NULL;
    if (error == cudaSuccess)
        error = bytes == NULL ? cudaErrorInvalidValue : v == NULL ? cudaErrorInvalidSymbol : cudaSuccess;
    if (error == cudaSuccess)
        *bytes = v->bytes;
    return cue_leave(error);
}
