/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products for cores with nothing but a 32 x 32 -> 32 bit multiplier: one multiplication makes two products.
 *
 * Arithmetic.  Two activations make one word x0 + 2^16 * x2, two weights of one channel v2 + 2^16 * v0.  Their product
 * modulo 2^32 is x0*v2 + 2^16 * (x0*v0 + x2*v2): the upper half is the sum that is wanted, since |v0| + |v2| <= 255 keeps
 * it within int16, and the lower half, which is within int16 too, is rounded away: the product shifted right by 16 plus
 * the last bit shifted out, which Arm cores have in the carry flag.
 * Four weights are one word W = (v2 + 128) + 2^16 * (v0 + 128) + 2^8 * (v3 + 128 + 2^16 * v1): its bytes 0 and 2 less 128
 * are the first operand, and what is left, shifted right by 8, less 128 is the second.
 *
 * Requantization.  Multipliers are M / 256 = m < 2^23 with scale m / 2^24 < 0.5.  With acc = 2^16 * h + l and
 * m = 2^8 * i + j, floor(acc * m / 2^16) = h * m + ((l * i + (l * j >> 8)) >> 8) exactly, as every shift drops bits below
 * those of the other terms.  No term leaves 32 bits if (|acc| / 2^16 + 1) * m + 2^24 < 2^31, proved when the layer is
 * compiled.
 *
 * Weight stream, for every channel: int32 bias; for every 4 inputs uint32 W; uint32 m.
 * Column, for every 4 inputs of a pair of pixels p, q: {x0 + 2^16 * x2, x1 + 2^16 * x3} of p, then of q.
 */
#ifndef MCUGEN_MATMUL_S8_SCALAR_H
#define MCUGEN_MATMUL_S8_SCALAR_H

#include <stdint.h>

#include "column_s8_scalar.h"
#include "fixed_point.h"

struct mcugen_matmul_s8_scalar {
    const uint32_t *weights;
    const uint32_t *column; /* of a pair of pixels: 4 * steps words */
    int32_t steps;          /* groups of 4 inputs, at least 1 */
    int8_t *out;            /* the first pixel's channels */
    int8_t *out_end;        /* behind its last channel */
    int32_t out_stride;     /* bytes from the first pixel to the second; 0: only the first is kept */
    int32_t rounding;       /* mcugen_scalar_rounding */
};

/* Half a step and the output's zero point, both as numbers of 1/256, moved up so that 0..255 are the values of int8. */
static MCUGEN_INLINE int32_t mcugen_scalar_rounding(int32_t zero_point)
{
    return 128 + 256 * (zero_point + 128);
}

#if MCUGEN_USE_THUMB

/* The accumulator in register `acc` becomes its value + 128 in 0..255; behind `fix` where it has to be saturated, which
 * goes on at `next`.  m in r4, i in r5; r0 and r2 are lost. */
#define MCUGEN_SCALAR_REQUANTIZE(acc, fix, next)                                                                       \
    "uxth r0, " acc "\n\t"                                                                                             \
    "asrs " acc ", " acc ", #16\n\t"                                                                                   \
    "muls " acc ", r4, " acc "\n\t"                                                                                    \
    "uxtb r2, r4\n\t"                                                                                                  \
    "muls r2, r0, r2\n\t"                                                                                              \
    "lsrs r2, r2, #8\n\t"                                                                                              \
    "muls r0, r5, r0\n\t"                                                                                              \
    "adds r0, r0, r2\n\t"                                                                                              \
    "lsrs r0, r0, #8\n\t"                                                                                              \
    "adds " acc ", " acc ", r0\n\t"                                                                                    \
    "add " acc ", r12\n\t"                                                                                             \
    "asrs " acc ", " acc ", #8\n\t"                                                                                    \
    "cmp " acc ", #255\n\t"                                                                                            \
    "bhi " fix "\n" next ":\n\t"

#define MCUGEN_SCALAR_SATURATE(acc, fix, next)                                                                         \
    fix ":\n\t"                                                                                                        \
    "asrs " acc ", " acc ", #31\n\t"                                                                                   \
    "mvns " acc ", " acc "\n\t"                                                                                        \
    "b " next "\n"

/* All registers that a caller wants back, and 32 bytes of stack. */
#define MCUGEN_SCALAR_SAVE                                                                                             \
    ".syntax unified\n\t"                                                                                              \
    "push {r4-r7, lr}\n\t"                                                                                             \
    "mov r4, r8\n\t"                                                                                                   \
    "mov r5, r9\n\t"                                                                                                   \
    "mov r6, r10\n\t"                                                                                                  \
    "mov r7, r11\n\t"                                                                                                  \
    "push {r4-r7}\n\t"                                                                                                 \
    "sub sp, sp, #32\n\t"

#define MCUGEN_SCALAR_RESTORE                                                                                          \
    "add sp, sp, #32\n\t"                                                                                              \
    "pop {r4-r7}\n\t"                                                                                                  \
    "mov r8, r4\n\t"                                                                                                   \
    "mov r9, r5\n\t"                                                                                                   \
    "mov r10, r6\n\t"                                                                                                  \
    "mov r11, r7\n\t"                                                                                                  \
    "pop {r4-r7}\n\t"                                                                                                  \
    "pop {r0}\n\t"                                                                                                     \
    "mov lr, r0\n\t"

/* The constants of the unpacking in r8 and r9. */
#define MCUGEN_SCALAR_CONSTANTS                                                                                        \
    "movs r4, #0xff\n\t"                                                                                               \
    "lsls r5, r4, #16\n\t"                                                                                             \
    "orrs r4, r5\n\t"                                                                                                  \
    "mov r8, r4\n\t"                                                                                                   \
    "movs r4, #0x80\n\t"                                                                                               \
    "lsls r5, r4, #16\n\t"                                                                                             \
    "orrs r4, r5\n\t"                                                                                                  \
    "rsbs r4, r4, #0\n\t"                                                                                              \
    "mov r9, r4\n\t"

/* W in r4: the two operands in r5 and r4. */
#define MCUGEN_SCALAR_UNPACK                                                                                           \
    "mov r5, r8\n\t"                                                                                                   \
    "ands r5, r4\n\t"                                                                                                  \
    "subs r4, r4, r5\n\t"                                                                                              \
    "asrs r4, r4, #8\n\t"                                                                                              \
    "add r5, r9\n\t"                                                                                                   \
    "subs r4, r4, #128\n\t"

/* acc += the rounded upper half of product * factor; product is lost. */
#define MCUGEN_SCALAR_ADD(acc, product, factor)                                                                        \
    "muls " product ", " factor ", " product "\n\t"                                                                    \
    "asrs " product ", " product ", #16\n\t"                                                                           \
    "adcs " acc ", " product "\n\t"

/* r0 column, r1 weights, r2 r3 activations, r4 W, r5 operand, r6 r7 accumulators of the two pixels; r8 r9 constants, r10
 * end of the column, r11 where the loop is entered, r12 rounding, lr out.  Stack: 0 column, 4 end of out, 8 stride.
 * One turn over 4 inputs takes 26 cycles on Armv6-M. */
MCUGEN_SHARED void mcugen_matmul_s8_scalar(const struct mcugen_matmul_s8_scalar *m)
{
    register const struct mcugen_matmul_s8_scalar *p __asm__("r0") = m;
    __asm__ volatile(
        MCUGEN_SCALAR_SAVE
        MCUGEN_SCALAR_CONSTANTS
        "ldmia.n r0!, {r1-r7}\n\t"
        "mov lr, r4\n\t"
        "mov r12, r7\n\t"
        "str r2, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "lsls r0, r3, #4\n\t"
        "adds r0, r0, r2\n\t"
        "mov r10, r0\n\t"
        /* The loop is entered in its middle where the steps are no multiple of 4: 42 bytes a step. */
        "rsbs r3, r3, #0\n\t"
        "movs r4, #3\n\t"
        "ands r3, r4\n\t"
        "movs r4, #42\n\t"
        "muls r3, r4, r3\n\t"
        "adr r4, 2f\n\t"
        "adds r3, r3, r4\n\t"
        "adds r3, r3, #1\n\t"
        "mov r11, r3\n"
        "1:\n\t"
        "ldmia.n r1!, {r6}\n\t"
        "ldr r0, [sp, #0]\n\t"
        "mov r7, r6\n\t"
        "bx r11\n\t"
        ".balign 4\n"
        "2:\n\t"
        ".rept 4\n\t"
        "ldmia.n r1!, {r4}\n\t"
        "ldmia.n r0!, {r2, r3}\n\t"
        MCUGEN_SCALAR_UNPACK
        MCUGEN_SCALAR_ADD("r6", "r2", "r5")
        MCUGEN_SCALAR_ADD("r6", "r3", "r4")
        "ldmia.n r0!, {r2, r3}\n\t"
        MCUGEN_SCALAR_ADD("r7", "r2", "r5")
        MCUGEN_SCALAR_ADD("r7", "r3", "r4")
        ".endr\n\t"
        "cmp r0, r10\n\t"
        "bne 2b\n\t"
        "ldmia.n r1!, {r4}\n\t"
        "lsrs r5, r4, #8\n\t"
        MCUGEN_SCALAR_REQUANTIZE("r6", "5f", "3")
        MCUGEN_SCALAR_REQUANTIZE("r7", "6f", "4")
        "subs r6, r6, #128\n\t"
        "subs r7, r7, #128\n\t"
        "mov r0, lr\n\t"
        "ldr r2, [sp, #8]\n\t"
        "strb r7, [r0, r2]\n\t"
        "strb r6, [r0]\n\t"
        "adds r0, r0, #1\n\t"
        "mov lr, r0\n\t"
        "ldr r2, [sp, #4]\n\t"
        "cmp r0, r2\n\t"
        "beq 7f\n\t"
        "b 1b\n"
        MCUGEN_SCALAR_SATURATE("r6", "5", "3b")
        MCUGEN_SCALAR_SATURATE("r7", "6", "4b")
        "7:\n\t"
        MCUGEN_SCALAR_RESTORE
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly. */
static MCUGEN_INLINE int32_t mcugen_upper_half(uint32_t product)
{
    return (int32_t)(product + 0x8000u) >> 16;
}

static MCUGEN_INLINE int8_t mcugen_requantize_scalar(int32_t acc, uint32_t m, int32_t rounding)
{
    return (int8_t)mcugen_ssat8(mcugen_smmlar(acc, (int32_t)(m << 8), ((rounding - 128) >> 8) - 128));
}

/* `channels` (1 or 2, known when it is compiled) of both pixels, from out on; returns the next channel's weights. */
static MCUGEN_INLINE const uint32_t *mcugen_matmul_channels(const struct mcugen_matmul_s8_scalar *m, const uint32_t *w,
                                                            int8_t *out, int32_t channels)
{
    const uint32_t *v = w + (channels - 1) * (m->steps + 2);
    const uint32_t *end = m->column + 4 * m->steps;
    int32_t p0 = (int32_t)*w++;
    int32_t q0 = p0;
    int32_t p1 = (int32_t)*v++;
    int32_t q1 = p1;
    for (const uint32_t *x = m->column; x != end; x += 4) {
        const struct mcugen_weights_scalar a = mcugen_unpack_scalar(*w++);
        p0 += mcugen_upper_half(x[0] * a.even) + mcugen_upper_half(x[1] * a.odd);
        q0 += mcugen_upper_half(x[2] * a.even) + mcugen_upper_half(x[3] * a.odd);
        if (channels > 1) {
            const struct mcugen_weights_scalar b = mcugen_unpack_scalar(*v++);
            p1 += mcugen_upper_half(x[0] * b.even) + mcugen_upper_half(x[1] * b.odd);
            q1 += mcugen_upper_half(x[2] * b.even) + mcugen_upper_half(x[3] * b.odd);
        }
    }
    /* the second pixel first: with a stride of 0 the first one is to stay */
    out[m->out_stride] = mcugen_requantize_scalar(q0, *w, m->rounding);
    out[0] = mcugen_requantize_scalar(p0, *w, m->rounding);
    if (channels > 1) {
        out[m->out_stride + 1] = mcugen_requantize_scalar(q1, *v, m->rounding);
        out[1] = mcugen_requantize_scalar(p1, *v, m->rounding);
        return v + 1;
    }
    return w + 1;
}

MCUGEN_SHARED void mcugen_matmul_s8_scalar(const struct mcugen_matmul_s8_scalar *m)
{
    const uint32_t *w = m->weights;
    int8_t *out = m->out;
    for (; m->out_end - out >= 2; out += 2) {
        w = mcugen_matmul_channels(m, w, out, 2);
    }
    if (out != m->out_end) {
        mcugen_matmul_channels(m, w, out, 1);
    }
}

#endif

#endif /* MCUGEN_MATMUL_S8_SCALAR_H */
