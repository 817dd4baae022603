/* SPDX-License-Identifier: Apache-2.0 */
/* The inner blocks of the MVE convolutions and fully connected layers with weights of 4 bits: 4 output channels of 2 pixels, or of
 * one.
 *
 * A byte holds the weights of two inputs, 16 apart.  Shifted up by 4 bits it is 16 times the lower one, without its lower bits 16
 * times the upper one: VMLADAVA multiplies both by int8 inputs as they are, and sums are 16 times what they stand for.  They are
 * proved to fit 32 bits when the layer is compiled, and the last 4 bits, which are 0, are shifted away before the multiplication.
 * Every step reads 32 inputs: rows of weights are filled up with zeros, and up to 31 bytes behind an input row are read, whatever
 * they hold.
 *
 * Weight stream, for every 4 channels (the last ones filled up with zeros), in words:
 *   int32 16 * bias[4]; uint8 codes[depth / 32][4][16]; int32 multiplier[4]; of the `any` kernels also int8 shift[4] less 4
 * Byte i of 16 has the weight of input i in its lower half, of input i + 16 in the upper. */
#ifndef MCUGEN_MATMUL_INT4_S8_MVE_H
#define MCUGEN_MATMUL_INT4_S8_MVE_H

#include <stdbool.h>
#include <stdint.h>

#include "fixed_point.h"
#include "mcugen.h"

struct mcugen_matmul_int4_s8_mve {
    const int8_t *in0, *in1; /* a row of `depth` bytes for each pixel, at any address */
    const uint32_t *weights;
    int8_t *out0, *out1; /* the channels of each pixel; for one pixel the same, and in1 = in0 */
    int32_t depth;       /* a multiple of 32 */
    int32_t channels;    /* at least 1 */
    int32_t zero_point;  /* of the output */
};

#if MCUGEN_HAVE_MVE

#define MCUGEN_INT4_ENTER "push {r4-r11, lr}\n\tvpush {d8-d15}\n\tsub sp, sp, #16\n\tvmov.i8 q7, #0xf0\n\t"
#define MCUGEN_INT4_LEAVE "add sp, sp, #16\n\tvpop {d8-d15}\n\tpop {r4-r11, lr}\n\t"
#define MCUGEN_INT4_CLOBBERS "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory"

/* Lower halves into q5, upper ones into q4. */
#define MCUGEN_INT4_WEIGHTS                                                                                            \
    "vldrw.32 q4, [r5], #16\n\t"                                                                                       \
    "vshl.i8 q5, q4, #4\n\t"                                                                                           \
    "vand q4, q4, q7\n\t"
#define MCUGEN_INT4_CHANNEL(first, second)                                                                             \
    MCUGEN_INT4_WEIGHTS "vmladava.s8 " first ", q0, q5\n\t"                                                            \
    "vmladava.s8 " second ", q1, q5\n\t"                                                                               \
    "vmladava.s8 " first ", q2, q4\n\t"                                                                                \
    "vmladava.s8 " second ", q3, q4\n\t"
#define MCUGEN_INT4_CHANNEL_ONE(first)                                                                                 \
    MCUGEN_INT4_WEIGHTS "vmladava.s8 " first ", q0, q5\n\t"                                                            \
    "vmladava.s8 " first ", q2, q4\n\t"

/* q0 and q1: accumulators of the two pixels. */
#define MCUGEN_INT4_SCALE                                                                                              \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vshr.s32 q0, q0, #4\n\t"                                                                                          \
    "vshr.s32 q1, q1, #4\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_INT4_SCALE_ANY                                                                                          \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                        \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vshl.s32 q1, q1, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_INT4_SCALE_ONE                                                                                          \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vshr.s32 q0, q0, #4\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"
#define MCUGEN_INT4_SCALE_ANY_ONE                                                                                      \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                        \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"

/* Two pixels: r9, r11 rows of inputs, r7 the first one's end, r5 weights, r1, r3 outputs; accumulators r0, r2, r4, r6 and r8,
 * r10, r12, lr; q7 the mask of upper halves.  Stack: 0 zero point, 4 depth, 8 channels left. */
#define MCUGEN_INT4_MATMUL(name, scale)                                                                                \
    MCUGEN_SHARED void name(const struct mcugen_matmul_int4_s8_mve *m);                                                \
    MCUGEN_SHARED void name(const struct mcugen_matmul_int4_s8_mve *m)                                                 \
    {                                                                                                                  \
        register const struct mcugen_matmul_int4_s8_mve *p __asm__("r0") = m;                                          \
        __asm__ volatile(MCUGEN_INT4_ENTER "ldrd r9, r11, [r0]\n\t"                                                    \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r3, r2, [r0, #16]\n\t"                                                                  \
                         "ldrd r4, r6, [r0, #24]\n\t"                                                                  \
                         "strd r6, r2, [sp]\n\t"                                                                       \
                         "str r4, [sp, #8]\n\t"                                                                        \
                         "add r7, r9, r2\n"                                                                            \
                         "2:\n\t"                                                                                      \
                         "ldrd r8, r10, [r5]\n\t"                                                                      \
                         "ldrd r12, lr, [r5, #8]\n\t"                                                                  \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n"                                                                     \
                         "1:\n\t"                                                                                      \
                         "vldrb.8 q0, [r9], #16\n\t"                                                                   \
                         "vldrb.8 q1, [r11], #16\n\t"                                                                  \
                         "vldrb.8 q2, [r9], #16\n\t"                                                                   \
                         "vldrb.8 q3, [r11], #16\n\t"                                                                  \
                         MCUGEN_INT4_CHANNEL("r0", "r8") MCUGEN_INT4_CHANNEL("r2", "r10")                              \
                         MCUGEN_INT4_CHANNEL("r4", "r12") MCUGEN_INT4_CHANNEL("r6", "lr") "cmp r9, r7\n\t"             \
                         "bne 1b\n\t"                                                                                  \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t"                                                               \
                         "vmov q1[2], q1[0], r8, r12\n\t"                                                              \
                         "vmov q1[3], q1[1], r10, lr\n\t"                                                              \
                         "ldrd r0, r2, [sp]\n\t"                                                                       \
                         "ldr r6, [sp, #8]\n\t" scale "vadd.i32 q0, q0, r0\n\t"                                        \
                         "vadd.i32 q1, q1, r0\n\t"                                                                     \
                         "vqmovnb.s32 q0, q0\n\t"                                                                      \
                         "vqmovnb.s32 q1, q1\n\t"                                                                      \
                         "vqmovnb.s16 q0, q0\n\t"                                                                      \
                         "vqmovnb.s16 q1, q1\n\t"                                                                      \
                         "vctp.32 r6\n\t"                                                                              \
                         "vpstt\n\t"                                                                                   \
                         "vstrbt.32 q0, [r1], #4\n\t"                                                                  \
                         "vstrbt.32 q1, [r3], #4\n\t"                                                                  \
                         "sub r9, r9, r2\n\t"                                                                          \
                         "sub r11, r11, r2\n\t"                                                                        \
                         "subs r6, r6, #4\n\t"                                                                         \
                         "str r6, [sp, #8]\n\t"                                                                        \
                         "bgt 2b\n\t" MCUGEN_INT4_LEAVE                                                                \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_INT4_CLOBBERS);                                                                      \
    }

/* One pixel: r9 row of inputs, r5 weights, r1 output, r3 zero point, r7 steps, r8 depth, r10 channels left; accumulators r0, r2,
 * r4, r6. */
#define MCUGEN_INT4_MATVEC(name, scale)                                                                                \
    MCUGEN_SHARED void name(const struct mcugen_matmul_int4_s8_mve *m);                                                \
    MCUGEN_SHARED void name(const struct mcugen_matmul_int4_s8_mve *m)                                                 \
    {                                                                                                                  \
        register const struct mcugen_matmul_int4_s8_mve *p __asm__("r0") = m;                                          \
        __asm__ volatile(MCUGEN_INT4_ENTER "ldr r9, [r0]\n\t"                                                          \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r8, r10, [r0, #20]\n\t"                                                                 \
                         "ldr r3, [r0, #28]\n\t"                                                                       \
                         "lsr r7, r8, #5\n"                                                                            \
                         "4:\n\t"                                                                                      \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n\t"                                                                   \
                         "dls lr, r7\n"                                                                                \
                         "2:\n\t"                                                                                      \
                         "vldrb.8 q0, [r9], #16\n\t"                                                                   \
                         "vldrb.8 q2, [r9], #16\n\t"                                                                   \
                         MCUGEN_INT4_CHANNEL_ONE("r0") MCUGEN_INT4_CHANNEL_ONE("r2")                                   \
                         MCUGEN_INT4_CHANNEL_ONE("r4") MCUGEN_INT4_CHANNEL_ONE("r6") "le lr, 2b\n\t"                   \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t" scale "vadd.i32 q0, q0, r3\n\t"                               \
                         "vqmovnb.s32 q0, q0\n\t"                                                                      \
                         "vqmovnb.s16 q0, q0\n\t"                                                                      \
                         "vctp.32 r10\n\t"                                                                             \
                         "vpst\n\t"                                                                                    \
                         "vstrbt.32 q0, [r1], #4\n\t"                                                                  \
                         "sub r9, r9, r8\n\t"                                                                          \
                         "subs r10, r10, #4\n\t"                                                                       \
                         "bgt 4b\n\t" MCUGEN_INT4_LEAVE                                                                \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_INT4_CLOBBERS);                                                                      \
    }

MCUGEN_INT4_MATMUL(mcugen_matmul_int4_s8_mve, MCUGEN_INT4_SCALE)
MCUGEN_INT4_MATMUL(mcugen_matmul_int4_any_s8_mve, MCUGEN_INT4_SCALE_ANY)
MCUGEN_INT4_MATVEC(mcugen_matvec_int4_s8_mve, MCUGEN_INT4_SCALE_ONE)
MCUGEN_INT4_MATVEC(mcugen_matvec_int4_any_s8_mve, MCUGEN_INT4_SCALE_ANY_ONE)

/* Two pixels, or one: in0 to out0. */
static MCUGEN_INLINE void mcugen_matmul_int4_mve_run(const struct mcugen_matmul_int4_s8_mve *m, bool any)
{
    if (any) {
        mcugen_matmul_int4_any_s8_mve(m);
    } else {
        mcugen_matmul_int4_s8_mve(m);
    }
}

static MCUGEN_INLINE void mcugen_matvec_int4_mve_run(const struct mcugen_matmul_int4_s8_mve *m, bool any)
{
    if (any) {
        mcugen_matvec_int4_any_s8_mve(m);
    } else {
        mcugen_matvec_int4_s8_mve(m);
    }
}

#else

/* The same from plain C; as there, a block is stored when all of it is known. */
MCUGEN_SHARED void mcugen_matmul_int4_mve_run(const struct mcugen_matmul_int4_s8_mve *m, bool any);
MCUGEN_SHARED void mcugen_matmul_int4_mve_run(const struct mcugen_matmul_int4_s8_mve *m, bool any)
{
    const uint32_t *w = m->weights;
    for (int32_t first = 0; first < m->channels; first += 4) {
        const int32_t channels = m->channels - first < 4 ? m->channels - first : 4;
        const uint8_t *codes = (const uint8_t *)(const void *)(w + 4);
        const uint32_t *multiplier = w + 4 + (m->depth >> 1);
        int8_t value[2][4];
        for (int32_t i = 0; i < 2 * channels; ++i) {
            const int32_t c = i >> 1;
            const int8_t *in = i & 1 ? m->in1 : m->in0;
            int32_t acc = (int32_t)w[c];
            for (int32_t k = 0; k < m->depth; ++k) {
                const int32_t code = codes[((k >> 5) * 4 + c) * 16 + (k & 15)];
                const int32_t upper = k & 16 ? code & 0xf0 : (code << 4) & 0xf0;
                acc += in[k] * (upper < 128 ? upper : upper - 256);
            }
            const int32_t shift = any ? ((const int8_t *)(const void *)(multiplier + 4))[c] + 4 : 0;
            value[i & 1][c] = mcugen_requantize_s8(acc >> 4, (int32_t)multiplier[c], shift, m->zero_point, -128, 127);
        }
        for (int32_t c = 0; c < channels; ++c) {
            m->out0[first + c] = value[0][c];
            m->out1[first + c] = value[1][c];
        }
        w = multiplier + (any ? 5 : 4);
    }
}

static MCUGEN_INLINE void mcugen_matvec_int4_mve_run(const struct mcugen_matmul_int4_s8_mve *m, bool any)
{
    struct mcugen_matmul_int4_s8_mve one = *m;
    one.in1 = one.in0;
    one.out1 = one.out0;
    mcugen_matmul_int4_mve_run(&one, any);
}

#endif

#endif /* MCUGEN_MATMUL_INT4_S8_MVE_H */
