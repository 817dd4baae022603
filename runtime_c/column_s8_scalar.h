/* SPDX-License-Identifier: Apache-2.0 */
/* Operands of the scalar matrix products: pairs of activations and of weights in one word (matmul_s8_scalar.h says
 * why). */
#ifndef MCUGEN_COLUMN_S8_SCALAR_H
#define MCUGEN_COLUMN_S8_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

#include "mcugen.h"

#define MCUGEN_SCALAR_BYTES 0x00ff00ffu
#define MCUGEN_SCALAR_OFFSET 0x00800080u

struct mcugen_weights_scalar {
    uint32_t even, odd;
};

static MCUGEN_INLINE struct mcugen_weights_scalar mcugen_unpack_scalar(uint32_t w)
{
    const uint32_t low = w & MCUGEN_SCALAR_BYTES;
    const struct mcugen_weights_scalar v = {low - MCUGEN_SCALAR_OFFSET, (uint32_t)((int32_t)(w - low) >> 8) - 128u};
    return v;
}

static MCUGEN_INLINE bool mcugen_aligned(const void *p)
{
    return ((uintptr_t)p & 3u) == 0;
}

/* The word at p, which is aligned. */
static MCUGEN_INLINE uint32_t mcugen_load_aligned(const int8_t *p)
{
    uint32_t v;
    __builtin_memcpy(&v, __builtin_assume_aligned(p, 4), sizeof v);
    return v;
}

/* Four activations, lowest byte first, into {x0 + 2^16 * x2, x1 + 2^16 * x3}. */
static MCUGEN_INLINE void mcugen_column_word(uint32_t *column, uint32_t word)
{
    const uint32_t even = word & MCUGEN_SCALAR_BYTES;
    const uint32_t odd = (word >> 8) & MCUGEN_SCALAR_BYTES;
    column[0] = (even ^ MCUGEN_SCALAR_OFFSET) - MCUGEN_SCALAR_OFFSET;
    column[1] = (odd ^ MCUGEN_SCALAR_OFFSET) - MCUGEN_SCALAR_OFFSET;
}

/* The word at p, which may be unaligned; no call of memcpy on cores where such words fault. */
static MCUGEN_INLINE uint32_t mcugen_load_bytes(const int8_t *p)
{
    const uint32_t low = (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8;
    return low | (uint32_t)(uint8_t)p[2] << 16 | (uint32_t)(uint8_t)p[3] << 24;
}

/* `steps` words at the aligned `in` into a column whose groups are `gap` bytes apart; at least one step. */
#if MCUGEN_USE_THUMB

/* r0 in, r1 column, r2 steps, r3 gap, r4 r5 operands, r6 r7 constants; 16 cycles a step on Armv6-M. */
MCUGEN_SHARED void mcugen_column_words_s8_scalar(const int8_t *in, uint32_t *column, int32_t steps, int32_t gap)
{
    register const int8_t *r0 __asm__("r0") = in;
    register uint32_t *r1 __asm__("r1") = column;
    register int32_t r2 __asm__("r2") = steps;
    register int32_t r3 __asm__("r3") = gap;
    __asm__ volatile(
        ".syntax unified\n\t"
        "push {r4-r7}\n\t"
        "movs r6, #0xff\n\t"
        "lsls r7, r6, #16\n\t"
        "orrs r6, r7\n\t"
        "movs r7, #0x80\n\t"
        "lsls r4, r7, #16\n\t"
        "orrs r7, r4\n"
        "1:\n\t"
        "ldmia r0!, {r4}\n\t"
        "lsrs r5, r4, #8\n\t"
        "ands r5, r6\n\t"
        "eors r5, r7\n\t"
        "subs r5, r5, r7\n\t"
        "ands r4, r6\n\t"
        "eors r4, r7\n\t"
        "subs r4, r4, r7\n\t"
        "stmia r1!, {r4, r5}\n\t"
        "adds r1, r1, r3\n\t"
        "subs r2, r2, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r7}\n\t"
        : "+r"(r0), "+r"(r1), "+r"(r2)
        : "r"(r3)
        : "cc", "memory");
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED void mcugen_column_words_s8_scalar(const int8_t *in, uint32_t *column, int32_t steps, int32_t gap)
{
    for (; steps > 0; --steps) {
        mcugen_column_word(column, mcugen_load_aligned(in));
        column += 2 + (gap >> 2);
        in += 4;
    }
}

#endif

/* `count` activations into a column whose groups begin `pitch` words apart, the last group filled up with zeros;
 * returns the place of the next group. */
MCUGEN_SHARED uint32_t *mcugen_column_s8_scalar(const int8_t *in, uint32_t *column, int32_t count, int32_t pitch)
{
    const int32_t steps = count >> 2;
    if (steps > 0 && mcugen_aligned(in)) {
        mcugen_column_words_s8_scalar(in, column, steps, 4 * pitch - 8);
        column += steps * pitch;
        in += 4 * steps;
        count &= 3;
    } else {
        for (; count >= 4; count -= 4) {
            mcugen_column_word(column, mcugen_load_bytes(in));
            column += pitch;
            in += 4;
        }
    }
    if (count > 0) {
        uint32_t word = 0;
        for (int32_t i = 0; i < count; ++i) {
            word |= (uint32_t)(uint8_t)in[i] << (8 * i);
        }
        mcugen_column_word(column, word);
        column += pitch;
    }
    return column;
}

/* `steps` times 4 activations of one value. */
static MCUGEN_INLINE uint32_t *mcugen_column_constant_s8_scalar(int32_t value, uint32_t *column, int32_t steps,
                                                                int32_t pitch)
{
    const uint32_t word = (uint32_t)value * 0x10001u;
    for (; steps > 0; --steps) {
        column[0] = word;
        column[1] = word;
        column += pitch;
    }
    return column;
}

/* `count` bytes one by one, on cores where unaligned words fault; returns the place behind them. */
static MCUGEN_INLINE int8_t *mcugen_copy_bytes(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4) {
        const int8_t a = from[0];
        const int8_t b = from[1];
        const int8_t c = from[2];
        const int8_t d = from[3];
        to[0] = a;
        to[1] = b;
        to[2] = c;
        to[3] = d;
        to += 4;
        from += 4;
    }
    for (; count > 0; --count) {
        *to++ = *from++;
        /* keeps compilers from calling memcpy */
        __asm__ volatile("");
    }
    return to;
}

#endif /* MCUGEN_COLUMN_S8_SCALAR_H */
