/* SPDX-License-Identifier: Apache-2.0 */
/* memcpy, memmove and memset, which a compiler may call by itself; weak, so that a library's own win. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    if ((((uintptr_t)out | (uintptr_t)in) & 3u) == 0u) {
        for (; size >= 4u; size -= 4u, out += 4, in += 4) {
            *(uint32_t *)(void *)out = *(const uint32_t *)(const void *)in;
        }
    }
    for (; size != 0u; --size) {
        *out++ = *in++;
    }
    return to;
}

__attribute__((weak)) void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *out = to;
    const unsigned char *in = from;
    if ((uintptr_t)out < (uintptr_t)in) {
        for (; size != 0u; --size) {
            *out++ = *in++;
        }
    } else {
        while (size != 0u) {
            --size;
            out[size] = in[size];
        }
    }
    return to;
}

__attribute__((weak)) void *memset(void *to, int value, size_t size)
{
    unsigned char *out = to;
    const unsigned char byte = (unsigned char)value;
    for (; size != 0u && ((uintptr_t)out & 3u) != 0u; --size) {
        *out++ = byte;
    }
    for (; size >= 4u; size -= 4u, out += 4) {
        *(uint32_t *)(void *)out = byte * 0x01010101u;
    }
    for (; size != 0u; --size) {
        *out++ = byte;
    }
    return to;
}
