/* SPDX-License-Identifier: Apache-2.0 */
/* The inner blocks of the MVE convolutions and fully connected layers with int8 weights that read or write int16: 4 output
 * channels of 2 pixels, or of one.
 *
 * VMLADAVA adds 8 products of int16 to a core register, as it adds 16 of int8 (matmul_s8_mve.h); the weights of int16 inputs are
 * widened as they are loaded.  Sums are multiplied, rounded once and clamped in 32 bits, so that storing needs no saturation and
 * a layer's explicit bounds cost nothing.  Every VMLADAVA reads 16 bytes of inputs: rows of weights are filled up with zeros, and
 * up to 15 bytes behind an input row are read, whatever they hold.
 *
 * Weight stream, for every 4 channels (the last ones filled up with zeros), in words, n = 8 for int16 inputs and 16 for int8:
 *   int32 bias[4]; int8 weights[depth / n][4][n]; int32 multiplier[4]; of int8 inputs also int8 shift[4]
 */
#ifndef MCUGEN_MATMUL_S16_MVE_H
#define MCUGEN_MATMUL_S16_MVE_H

#include <stdint.h>

#include "element_s16.h"

struct mcugen_matmul_s16_mve {
    const int8_t *in0, *in1; /* a row of inputs for each pixel, of int8 at any address */
    const uint32_t *weights;
    int8_t *out0, *out1; /* the channels of each pixel; for one pixel the same, and in1 = in0 */
    int32_t row_bytes;   /* of an input row, a multiple of 16 */
    int32_t channels;    /* at least 1 */
    int32_t zero_point;  /* of the output */
    int32_t low, high;   /* the output's bounds, at most those of its type */
};

#if MCUGEN_HAVE_MVE

#define MCUGEN_WIDE_ENTER "push {r4-r11, lr}\n\tvpush {d8-d15}\n\tsub sp, sp, #16\n\t"
#define MCUGEN_WIDE_LEAVE "add sp, sp, #16\n\tvpop {d8-d15}\n\tpop {r4-r11, lr}\n\t"
#define MCUGEN_WIDE_CLOBBERS "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory"

/* A vector of each row of inputs, and the weights of 4 channels for it. */
#define MCUGEN_WIDE_STEP(weights, products)                                                                            \
    "vldrb.8 q0, [r9], #16\n\t"                                                                                        \
    "vldrb.8 q1, [r11], #16\n\t"                                                                                       \
    weights(q2)                                                                                                        \
    products " r0, q0, q2\n\t"                                                                                         \
    weights(q3)                                                                                                        \
    products " r8, q1, q2\n\t"                                                                                         \
    products " r2, q0, q3\n\t"                                                                                         \
    weights(q4)                                                                                                        \
    products " r10, q1, q3\n\t"                                                                                        \
    products " r4, q0, q4\n\t"                                                                                         \
    weights(q5)                                                                                                        \
    products " r12, q1, q4\n\t"                                                                                        \
    products " r6, q0, q5\n\t"                                                                                         \
    products " lr, q1, q5\n\t"
#define MCUGEN_WIDE_STEP_ONE(weights, products)                                                                        \
    "vldrb.8 q0, [r9], #16\n\t"                                                                                        \
    weights(q2)                                                                                                        \
    products " r0, q0, q2\n\t"                                                                                         \
    weights(q3)                                                                                                        \
    products " r2, q0, q3\n\t"                                                                                         \
    weights(q4)                                                                                                        \
    products " r4, q0, q4\n\t"                                                                                         \
    weights(q5)                                                                                                        \
    products " r6, q0, q5\n\t"
#define MCUGEN_WIDE_LOAD_S16(q) "vldrb.s16 " #q ", [r5], #8\n\t"
#define MCUGEN_WIDE_LOAD_S8(q) "vldrw.32 " #q ", [r5], #16\n\t"
#define MCUGEN_WIDE_INPUT_S16(step) step(MCUGEN_WIDE_LOAD_S16, "vmladava.s16")
#define MCUGEN_WIDE_INPUT_S8(step) step(MCUGEN_WIDE_LOAD_S8, "vmladava.s8")

/* q0 and q1: accumulators of the two pixels; r0: zero point. */
#define MCUGEN_WIDE_SCALE_S16                                                                                          \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_WIDE_SCALE_S8                                                                                           \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                        \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vshl.s32 q1, q1, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_WIDE_SCALE_ONE_S16                                                                                      \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vrmulh.s32 q0, q0, q2\n\t"
#define MCUGEN_WIDE_SCALE_ONE_S8                                                                                       \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                        \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"

/* Two pixels: r9, r11 rows of inputs, r7 the first one's end, r5 weights, r1, r3 outputs; accumulators r0, r2, r4, r6 and r8,
 * r10, r12, lr; q6, q7 bounds.  Stack: 0 zero point, 4 bytes of a row, 8 channels left. */
#define MCUGEN_WIDE_MATMUL(name, input, scale, store, bytes)                                                           \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s16_mve *m);                                                    \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s16_mve *m)                                                     \
    {                                                                                                                  \
        register const struct mcugen_matmul_s16_mve *p __asm__("r0") = m;                                              \
        __asm__ volatile(MCUGEN_WIDE_ENTER "ldrd r9, r11, [r0]\n\t"                                                    \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r3, r2, [r0, #16]\n\t"                                                                  \
                         "ldrd r4, r6, [r0, #24]\n\t"                                                                  \
                         "ldrd r8, r10, [r0, #32]\n\t"                                                                 \
                         "strd r6, r2, [sp]\n\t"                                                                       \
                         "str r4, [sp, #8]\n\t"                                                                        \
                         "vdup.32 q6, r8\n\t"                                                                          \
                         "vdup.32 q7, r10\n\t"                                                                         \
                         "add r7, r9, r2\n"                                                                            \
                         "2:\n\t"                                                                                      \
                         "tst r2, #16\n\t"                                                                             \
                         "ldrd r8, r10, [r5]\n\t"                                                                      \
                         "ldrd r12, lr, [r5, #8]\n\t"                                                                  \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n\t"                                                                   \
                         "beq 1f\n\t" input(MCUGEN_WIDE_STEP) "cmp r9, r7\n\t"                                         \
                         "beq 3f\n"                                                                                    \
                         "1:\n\t" input(MCUGEN_WIDE_STEP) input(MCUGEN_WIDE_STEP) "cmp r9, r7\n\t"                     \
                         "bne 1b\n"                                                                                    \
                         "3:\n\t"                                                                                      \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t"                                                               \
                         "vmov q1[2], q1[0], r8, r12\n\t"                                                              \
                         "vmov q1[3], q1[1], r10, lr\n\t"                                                              \
                         "ldrd r0, r2, [sp]\n\t"                                                                       \
                         "ldr r6, [sp, #8]\n\t" scale "vadd.i32 q0, q0, r0\n\t"                                        \
                         "vadd.i32 q1, q1, r0\n\t"                                                                     \
                         "vmax.s32 q0, q0, q6\n\t"                                                                     \
                         "vmax.s32 q1, q1, q6\n\t"                                                                     \
                         "vmin.s32 q0, q0, q7\n\t"                                                                     \
                         "vmin.s32 q1, q1, q7\n\t"                                                                     \
                         "vctp.32 r6\n\t"                                                                              \
                         "vpstt\n\t" store " q0, [r1], #" bytes "\n\t" store " q1, [r3], #" bytes "\n\t"               \
                         "sub r9, r9, r2\n\t"                                                                          \
                         "sub r11, r11, r2\n\t"                                                                        \
                         "subs r6, r6, #4\n\t"                                                                         \
                         "str r6, [sp, #8]\n\t"                                                                        \
                         "bgt 2b\n\t" MCUGEN_WIDE_LEAVE                                                                \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_WIDE_CLOBBERS);                                                                      \
    }

/* One pixel: r9 row of inputs, r5 weights, r1 output, r3 zero point, r7 pairs of steps, r8 bytes of a row, r10 channels left;
 * accumulators r0, r2, r4, r6; q6, q7 bounds. */
#define MCUGEN_WIDE_MATVEC(name, input, scale, store, bytes)                                                           \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s16_mve *m);                                                    \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s16_mve *m)                                                     \
    {                                                                                                                  \
        register const struct mcugen_matmul_s16_mve *p __asm__("r0") = m;                                              \
        __asm__ volatile(MCUGEN_WIDE_ENTER "ldr r9, [r0]\n\t"                                                          \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r8, r10, [r0, #20]\n\t"                                                                 \
                         "ldrd r3, r4, [r0, #28]\n\t"                                                                  \
                         "ldr r6, [r0, #36]\n\t"                                                                       \
                         "vdup.32 q6, r4\n\t"                                                                          \
                         "vdup.32 q7, r6\n\t"                                                                          \
                         "lsr r7, r8, #5\n"                                                                            \
                         "4:\n\t"                                                                                      \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n\t"                                                                   \
                         "tst r8, #16\n\t"                                                                             \
                         "beq 1f\n\t" input(MCUGEN_WIDE_STEP_ONE) "1:\n\t"                                             \
                         "wls lr, r7, 3f\n"                                                                            \
                         "2:\n\t" input(MCUGEN_WIDE_STEP_ONE) input(MCUGEN_WIDE_STEP_ONE) "le lr, 2b\n"                \
                         "3:\n\t"                                                                                      \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t" scale "vadd.i32 q0, q0, r3\n\t"                               \
                         "vmax.s32 q0, q0, q6\n\t"                                                                     \
                         "vmin.s32 q0, q0, q7\n\t"                                                                     \
                         "vctp.32 r10\n\t"                                                                             \
                         "vpst\n\t" store " q0, [r1], #" bytes "\n\t"                                                  \
                         "sub r9, r9, r8\n\t"                                                                          \
                         "subs r10, r10, #4\n\t"                                                                       \
                         "bgt 4b\n\t" MCUGEN_WIDE_LEAVE                                                                \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_WIDE_CLOBBERS);                                                                      \
    }

/* C99 asks compilers for string literals of 4095 bytes only; clang counts assembly as one. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Woverlength-strings"
#endif
MCUGEN_WIDE_MATMUL(mcugen_matmul_s16_mve, MCUGEN_WIDE_INPUT_S16, MCUGEN_WIDE_SCALE_S16, "vstrht.32", "8")
MCUGEN_WIDE_MATMUL(mcugen_matmul_s16_s8_mve, MCUGEN_WIDE_INPUT_S16, MCUGEN_WIDE_SCALE_S16, "vstrbt.32", "4")
MCUGEN_WIDE_MATMUL(mcugen_matmul_s8_s16_mve, MCUGEN_WIDE_INPUT_S8, MCUGEN_WIDE_SCALE_S8, "vstrht.32", "8")
MCUGEN_WIDE_MATVEC(mcugen_matvec_s16_mve, MCUGEN_WIDE_INPUT_S16, MCUGEN_WIDE_SCALE_ONE_S16, "vstrht.32", "8")
MCUGEN_WIDE_MATVEC(mcugen_matvec_s16_s8_mve, MCUGEN_WIDE_INPUT_S16, MCUGEN_WIDE_SCALE_ONE_S16, "vstrbt.32", "4")
MCUGEN_WIDE_MATVEC(mcugen_matvec_s8_s16_mve, MCUGEN_WIDE_INPUT_S8, MCUGEN_WIDE_SCALE_ONE_S8, "vstrht.32", "8")
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

/* Two pixels, or one: in0 to out0. */
static MCUGEN_INLINE void mcugen_matmul_wide_mve(const struct mcugen_matmul_s16_mve *m, int32_t in_bytes, int32_t out_bytes)
{
    if (in_bytes == 1) {
        mcugen_matmul_s8_s16_mve(m);
    } else if (out_bytes == 1) {
        mcugen_matmul_s16_s8_mve(m);
    } else {
        mcugen_matmul_s16_mve(m);
    }
}

static MCUGEN_INLINE void mcugen_matvec_wide_mve(const struct mcugen_matmul_s16_mve *m, int32_t in_bytes, int32_t out_bytes)
{
    if (in_bytes == 1) {
        mcugen_matvec_s8_s16_mve(m);
    } else if (out_bytes == 1) {
        mcugen_matvec_s16_s8_mve(m);
    } else {
        mcugen_matvec_s16_mve(m);
    }
}

#else

/* The same from plain C; as there, a block is stored when all of it is known. */
MCUGEN_SHARED void mcugen_matmul_wide_mve(const struct mcugen_matmul_s16_mve *m, int32_t in_bytes, int32_t out_bytes);
MCUGEN_SHARED void mcugen_matmul_wide_mve(const struct mcugen_matmul_s16_mve *m, int32_t in_bytes, int32_t out_bytes)
{
    const int32_t depth = m->row_bytes / in_bytes;
    const int32_t lanes = 16 / in_bytes;
    const uint32_t *w = m->weights;
    for (int32_t first = 0; first < m->channels; first += 4) {
        const int32_t channels = m->channels - first < 4 ? m->channels - first : 4;
        const int8_t *weights = (const int8_t *)(const void *)(w + 4);
        const uint32_t *multiplier = w + 4 + depth;
        int32_t value[2][4];
        for (int32_t i = 0; i < 2 * channels; ++i) {
            const int32_t c = i >> 1;
            const int8_t *in = i & 1 ? m->in1 : m->in0;
            int32_t acc = (int32_t)w[c];
            for (int32_t k = 0; k < depth; ++k) {
                acc += mcugen_element(in, k, in_bytes) * weights[(k / lanes * 4 + c) * lanes + k % lanes];
            }
            const int32_t shift = in_bytes == 1 ? ((const int8_t *)(const void *)(multiplier + 4))[c] : 0;
            value[i & 1][c] = mcugen_requantize(acc, (int32_t)multiplier[c], shift, m->zero_point);
        }
        for (int32_t c = 0; c < channels; ++c) {
            mcugen_put(m->out0, first + c, mcugen_clamp(value[0][c], m->low, m->high), out_bytes);
            mcugen_put(m->out1, first + c, mcugen_clamp(value[1][c], m->low, m->high), out_bytes);
        }
        w = multiplier + (in_bytes == 1 ? 5 : 4);
    }
}

static MCUGEN_INLINE void mcugen_matvec_wide_mve(const struct mcugen_matmul_s16_mve *m, int32_t in_bytes, int32_t out_bytes)
{
    struct mcugen_matmul_s16_mve one = *m;
    one.in1 = one.in0;
    one.out1 = one.out0;
    mcugen_matmul_wide_mve(&one, in_bytes, out_bytes);
}

#endif

#endif /* MCUGEN_MATMUL_S16_MVE_H */
