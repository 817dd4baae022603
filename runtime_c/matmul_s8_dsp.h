/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP convolutions: 3 (or 2) output channels of 2 pixels at a time.
 *
 * Arithmetic.  Four weights b0..b3 are stored as two int16, W = {256*b0 + b1, 256*b2 + b3}, and four activations x0..x3
 * (one word v of the input) as X = {x0, x2} = SXTB16(v) and Y = v ^ 0x007f007f = {256*x1 - x0 + 127, 256*x3 - x2 +
 * 127}. SMLAD(W, X) adds 256*(b0*x0 + b2*x2) + b1*x0 + b3*x2; SXTB16(W) is {b1, b3}, and SMLAD of that with Y adds
 * 256*(b1*x1 + b3*x3) - b1*(x0 - 127) - b3*(x2 - 127).  The sum is 256 * sum(b*x) + 127*(b1 + b3): one unpacking
 * instruction a word instead of four.  The constant is taken off the initial accumulator when the weights are packed.
 * Weights lie in [-127, 127], so that W fits.  Sums wrap modulo 2^32; only the last, 256 * (bias + sum(b*x)), has to
 * fit, which is |accumulator| < 2^23, proved when the layer is compiled.
 *
 * Weight stream, one block after the other, first all blocks of 3 channels, then those of 2:
 *   int32 initial[n]; then for every 4 inputs: uint32 W[n]; then int32 multiplier[n]      (n = 3 or 2)
 * Column, for every 4 inputs of a pair of pixels p, q: uint32 {Y(p), X(p), Y(q), X(q)}.
 */
#ifndef MCUGEN_MATMUL_S8_DSP_H
#define MCUGEN_MATMUL_S8_DSP_H

#include <stdint.h>

#include "blocks_asm_dsp.h"
#include "mcugen.h"
#include "simd.h"

/* Groups of 4 inputs in one turn of the loops over 3 and over 2 channels; powers of two. 78 and 56 bytes of code
 * each. */
#ifndef MCUGEN_MATMUL_UNROLL3
#define MCUGEN_MATMUL_UNROLL3 8
#endif
#ifndef MCUGEN_MATMUL_UNROLL2
#define MCUGEN_MATMUL_UNROLL2 4
#endif

struct mcugen_matmul_s8_dsp {
    const uint32_t *weights;      /* the first block */
    const uint32_t *weights_end3; /* behind the last block of 3 channels */
    const uint32_t *weights_end;  /* behind the last block of 2 channels; at least one block in all */
    const uint32_t *column;       /* `pairs` columns of 4 * steps words */
    int8_t *out;                  /* the first pixel's channels; the next pixel's follow them */
    int32_t out_stride;           /* bytes from a pixel to the next, the channels; 0: the second pixel is not stored */
    int32_t pairs;                /* at least 1; 1 where out_stride is 0 */
    int32_t steps;                /* groups of 4 inputs, at least 1 */
    int32_t zero_point;           /* of the output */
};

#if MCUGEN_HAVE_DSP

/* r0 weights, r1 column, r2-r4 weight words, r5 r6 activations of pixel 0 and 1, r7-r9 accumulators of pixel 0, r10-r12
 * of pixel 1, lr end of the column.  Loads stand in groups, where each but the first costs one cycle.
 * Stack: 0 zero point, 4 out, 8 out stride, 12 column, 16 entry of the 3-channel loop, 20 its last block's end, 24
 * entry of the 2-channel loop, 28 its last block's end, 32 pairs left, 36 weights, 40 bytes of a column. */
MCUGEN_SHARED void mcugen_matmul_s8_dsp(const struct mcugen_matmul_s8_dsp *m)
{
    register const struct mcugen_matmul_s8_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #44\n\t"
        "ldm r0, {r1-r9}\n\t" /* weights, end3, end, column, out, stride, pairs, steps, zero point */
        "str r9, [sp, #0]\n\t"
        "str r5, [sp, #4]\n\t"
        "str r6, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r2, [sp, #20]\n\t"
        "str r3, [sp, #28]\n\t"
        "str r7, [sp, #32]\n\t"
        "str r1, [sp, #36]\n\t"
        "lsl r2, r8, #4\n\t"
        "str r2, [sp, #40]\n\t"
        "add lr, r4, r2\n\t"
        "mov r0, r1\n\t"
        /* The loops are entered in their middle, so that they may run a number of steps that is no multiple of the
         * unrolling. */
        "rsb r8, r8, #0\n\t"
        MCUGEN_ASM_ENTRY("1f", MCUGEN_MATMUL_UNROLL3, "78", "r8", "16")
        MCUGEN_ASM_ENTRY("3f", MCUGEN_MATMUL_UNROLL2, "56", "r8", "24")
        "b.w 2f\n\t"

        ".balign 4\n"
        "1:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_UNROLL3) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.n r4, [r0, #8]\n\t"
        "ldr.w r2, [r0], #12\n\t"
        "ldr.n r5, [r1, #4]\n\t"
        "ldr.n r6, [r1, #12]\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r9, r4, r5, r9\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        "smlad r12, r4, r6, r12\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "sxtb16 r4, r4\n\t"
        "ldr.n r6, [r1, #8]\n\t"
        "ldr.w r5, [r1], #16\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r9, r4, r5, r9\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        "smlad r12, r4, r6, r12\n\t"
        ".endr\n\t"
        "cmp r1, lr\n\t"
        "bne.w 1b\n\t"
        MCUGEN_ASM_MULTIPLIERS3
        MCUGEN_ASM_SCALE3
        MCUGEN_ASM_SATURATE3("ssat", "8")
        MCUGEN_ASM_STORE3("strb", "1")
        "2:\n\t"
        MCUGEN_ASM_NEXT3("4f")

        ".balign 4\n"
        "3:\n\t"
        ".rept " MCUGEN_TEXT(MCUGEN_MATMUL_UNROLL2) "\n\t"
        "ldr.n r3, [r0, #4]\n\t"
        "ldr.w r2, [r0], #8\n\t"
        "ldr.n r5, [r1, #4]\n\t"
        "ldr.n r6, [r1, #12]\n\t"
        "ldr.n r4, [r1, #8]\n\t"
        "ldr.w r9, [r1], #16\n\t"
        "smlad r7, r2, r5, r7\n\t"
        "smlad r8, r3, r5, r8\n\t"
        "smlad r10, r2, r6, r10\n\t"
        "smlad r11, r3, r6, r11\n\t"
        "sxtb16 r2, r2\n\t"
        "sxtb16 r3, r3\n\t"
        "smlad r7, r2, r9, r7\n\t"
        "smlad r8, r3, r9, r8\n\t"
        "smlad r10, r2, r4, r10\n\t"
        "smlad r11, r3, r4, r11\n\t"
        ".endr\n\t"
        "cmp r1, lr\n\t"
        "bne.w 3b\n\t"
        MCUGEN_ASM_MULTIPLIERS2
        MCUGEN_ASM_SCALE2
        MCUGEN_ASM_SATURATE2("ssat", "8")
        MCUGEN_ASM_STORE2("strb", "1")
        "4:\n\t"
        MCUGEN_ASM_NEXT2("5f")
        "5:\n\t"
        "ldr r2, [sp, #4]\n\t"
        "ldr r3, [sp, #8]\n\t"
        "ldr r4, [sp, #40]\n\t"
        "ldr r5, [sp, #32]\n\t"
        "ldr r0, [sp, #36]\n\t"
        "add r2, r2, r3\n\t"
        "add r1, r1, r4\n\t"
        "add lr, lr, r4\n\t"
        "str r2, [sp, #4]\n\t"
        "str r1, [sp, #12]\n\t"
        "subs r5, r5, #1\n\t"
        "str r5, [sp, #32]\n\t"
        "bne.w 2b\n\t"
        "add sp, sp, #44\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

static MCUGEN_INLINE const uint32_t *mcugen_matmul_block_s8_dsp(const uint32_t *w, int32_t rows, const uint32_t *column,
                                                                int32_t steps, int32_t zero_point, int8_t *out,
                                                                int32_t out_stride)
{
    int32_t acc[2][3];
    for (int32_t r = 0; r < rows; ++r) {
        acc[0][r] = acc[1][r] = (int32_t)w[r];
    }
    w += rows;
    for (int32_t i = 0; i < steps; ++i) {
        for (int32_t r = 0; r < rows; ++r) {
            const uint32_t low = mcugen_sxtb16(w[r]);
            acc[0][r] = mcugen_smlad(low, column[0], mcugen_smlad(w[r], column[1], acc[0][r]));
            acc[1][r] = mcugen_smlad(low, column[2], mcugen_smlad(w[r], column[3], acc[1][r]));
        }
        w += rows;
        column += 4;
    }
    for (int32_t r = 0; r < rows; ++r) {
        out[out_stride + r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[1][r], (int32_t)w[r], zero_point));
        out[r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[0][r], (int32_t)w[r], zero_point));
    }
    return w + rows;
}

/* The C twin of the assembly: the same reads and writes in the same order. */
MCUGEN_SHARED void mcugen_matmul_s8_dsp(const struct mcugen_matmul_s8_dsp *m)
{
    const uint32_t *column = m->column;
    int8_t *out = m->out;
    for (int32_t pair = 0; pair < m->pairs; ++pair) {
        const uint32_t *w = m->weights;
        while (w != m->weights_end3) {
            w = mcugen_matmul_block_s8_dsp(w, 3, column, m->steps, m->zero_point, out, m->out_stride);
            out += 3;
        }
        while (w != m->weights_end) {
            w = mcugen_matmul_block_s8_dsp(w, 2, column, m->steps, m->zero_point, out, m->out_stride);
            out += 2;
        }
        out += m->out_stride;
        column += 4 * m->steps;
    }
}

#endif

/* A layer of out_c channels, the first 3 * blocks3 of them in blocks of 3, about to compute its first pixel. */
static MCUGEN_INLINE struct mcugen_matmul_s8_dsp
mcugen_matmul_start(const uint32_t *weights, int32_t blocks3, int32_t out_c, int32_t steps, int32_t zero_point,
                    const uint32_t *columns, int8_t *out)
{
    const struct mcugen_matmul_s8_dsp m = {
        .weights = weights,
        .weights_end3 = weights + 3 * blocks3 * (steps + 2),
        .weights_end = weights + out_c * (steps + 2),
        .column = columns,
        .out = out,
        .out_stride = out_c,
        .pairs = 0,
        .steps = steps,
        .zero_point = zero_point,
    };
    return m;
}

/* Where pixel `index` of the columns has its words; every fourth word is the pixel's next. */
static MCUGEN_INLINE uint32_t *mcugen_matmul_slot(uint32_t *columns, int32_t steps, int32_t index)
{
    return columns + (index >> 1) * 4 * steps + (index & 1) * 2;
}

/* Compute the next `pairs` pairs of pixels, whose columns are filled. */
static MCUGEN_INLINE void mcugen_matmul_pairs(struct mcugen_matmul_s8_dsp *m, int32_t pairs)
{
    m->pairs = pairs;
    mcugen_matmul_s8_dsp(m);
    m->out += 2 * pairs * m->out_stride;
}

/* With `filled` pixels in the columns: compute them where that is the whole batch; returns how many wait. */
static MCUGEN_INLINE int32_t mcugen_matmul_filled(struct mcugen_matmul_s8_dsp *m, int32_t filled, int32_t batch)
{
    if (filled < 2 * batch) {
        return filled;
    }
    mcugen_matmul_pairs(m, batch);
    return 0;
}

/* Compute the last `filled` pixels of the layer. */
static MCUGEN_INLINE void mcugen_matmul_finish(struct mcugen_matmul_s8_dsp *m, int32_t filled)
{
    if (filled > 1) {
        mcugen_matmul_pairs(m, filled >> 1);
    }
    if (filled & 1) {
        m->column += (filled >> 1) * 4 * m->steps;
        m->pairs = 1;
        m->out_stride = 0;
        mcugen_matmul_s8_dsp(m);
    }
}

#endif /* MCUGEN_MATMUL_S8_DSP_H */
