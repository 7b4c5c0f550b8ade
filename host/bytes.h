/* bytes.h: numbers in the byte order of a file, whatever that of the machine and wherever they stand. */
#ifndef BPI_HOST_BYTES_H
#define BPI_HOST_BYTES_H

#include <stdint.h>

static inline uint64_t bpi_load_little(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static inline void bpi_store_little(uint64_t value, int count, unsigned char *bytes)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
}

static inline uint32_t bpi_load_big32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

#endif
