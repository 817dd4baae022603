/* SPDX-License-Identifier: Apache-2.0 */
/* The inner blocks of the MVE convolutions and fully connected layers: 4 output channels of 2 pixels, or of one.
 *
 * VMLADAVA adds 16 products to a core register, an even one: 4 x 2 accumulators take all eight of them, the link register
 * too.  VQRDMLASH then multiplies a vector of 4 accumulators by M / 2, doubles, adds the zero point and rounds once: that
 * is (acc * M + 2^31) >> 32 plus the zero point, for even M.  Every VMLADAVA reads 16 inputs: rows of weights are filled
 * up with zeros, and up to 15 bytes behind an input row are read, whatever they hold.
 *
 * Weight stream, for every 4 channels (the last ones filled up with zeros), in words:
 *   int32 bias[4]; int8 weights[depth / 16][4][16]; int32 multiplier[4]
 * multiplier is M / 2; `any` kernels, which take odd M and shifts, have M and behind it int32 shift[4].
 */
#ifndef MCUGEN_MATMUL_S8_MVE_H
#define MCUGEN_MATMUL_S8_MVE_H

#include <stdint.h>

#include "fixed_point.h"
#include "mcugen.h"

struct mcugen_matmul_s8_mve {
    const int8_t *in0, *in1; /* a row of `depth` bytes for each pixel, of any alignment */
    const uint32_t *weights;
    int8_t *out0, *out1; /* the channels of each pixel; for one pixel the same, and in1 = in0 */
    int32_t depth;       /* a multiple of 16 */
    const uint32_t *end; /* behind the last whole block of 4 channels */
    int32_t zero_point;  /* of the output */
    int32_t rest;        /* channels in the last, not whole block; 0: none */
};

#if MCUGEN_HAVE_MVE

/* The callee's registers are kept on the stack, so that compilers may keep theirs, the frame pointer too. */
#define MCUGEN_MVE_ENTER                                                                                               \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "vpush {d8-d15}\n\t"
#define MCUGEN_MVE_LEAVE                                                                                               \
    "vpop {d8-d15}\n\t"                                                                                               \
    "pop {r4-r11, lr}\n\t"
#define MCUGEN_MVE_CLOBBERS "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory"

/* q0 and q1: accumulators of the two pixels; r0: zero point */
#define MCUGEN_MVE_SCALE                                                                                               \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vqrdmlash.s32 q0, q2, r0\n\t"                                                                                     \
    "vqrdmlash.s32 q1, q2, r0\n\t"
#define MCUGEN_MVE_SCALE_ANY                                                                                           \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrw.32 q3, [r5], #16\n\t"                                                                                       \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vshl.s32 q1, q1, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"                                                                                        \
    "vadd.i32 q0, q0, r0\n\t"                                                                                          \
    "vadd.i32 q1, q1, r0\n\t"
#define MCUGEN_MVE_SATURATE                                                                                            \
    "vqmovnb.s32 q0, q0\n\t"                                                                                           \
    "vqmovnb.s32 q1, q1\n\t"                                                                                           \
    "vqmovnb.s16 q0, q0\n\t"                                                                                           \
    "vqmovnb.s16 q1, q1\n\t"
#define MCUGEN_MVE_STORE                                                                                               \
    "vstrb.32 q0, [r1], #4\n\t"                                                                                        \
    "vstrb.32 q1, [r3], #4\n\t"
#define MCUGEN_MVE_STORE_REST                                                                                          \
    "vctp.32 r6\n\t"                                                                                                   \
    "vpstt\n\t"                                                                                                        \
    "vstrbt.32 q0, [r1]\n\t"                                                                                           \
    "vstrbt.32 q1, [r3]\n\t"
/* accumulators r0, r2, r4, r6 and r8, r10, r12, lr into vectors */
#define MCUGEN_MVE_GATHER                                                                                              \
    "vmov q0[2], q0[0], r0, r4\n\t"                                                                                    \
    "vmov q0[3], q0[1], r2, r6\n\t"                                                                                    \
    "vmov q1[2], q1[0], r8, r12\n\t"                                                                                   \
    "vmov q1[3], q1[1], r10, lr\n\t"

/* r9, r11 rows of inputs, r7 the first one's end, r5 weights, r1, r3 outputs; s28 zero point, s29 depth, s30 end of the
 * whole blocks, s31 rest */
#define MCUGEN_MVE_STEP                                                                                                \
    "vldrb.8 q0, [r9], #16\n\t"                                                                                        \
    "vldrb.8 q1, [r11], #16\n\t"                                                                                       \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r0, q0, q2\n\t"                                                                                       \
    "vldrw.32 q3, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r8, q1, q2\n\t"                                                                                       \
    "vmladava.s8 r2, q0, q3\n\t"                                                                                       \
    "vldrw.32 q4, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r10, q1, q3\n\t"                                                                                      \
    "vmladava.s8 r4, q0, q4\n\t"                                                                                       \
    "vldrw.32 q5, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r12, q1, q4\n\t"                                                                                      \
    "vmladava.s8 r6, q0, q5\n\t"                                                                                       \
    "vmladava.s8 lr, q1, q5\n\t"
#define MCUGEN_MVE_BIAS                                                                                                \
    "ldrd r8, r10, [r5]\n\t"                                                                                           \
    "ldrd r12, lr, [r5, #8]\n\t"                                                                                       \
    "ldrd r0, r2, [r5], #8\n\t"                                                                                        \
    "ldrd r4, r6, [r5], #8\n\t"
#define MCUGEN_MVE_STEPS_EVEN                                                                                          \
    "1:\n\t" MCUGEN_MVE_STEP MCUGEN_MVE_STEP "cmp r9, r7\n\t"                                                          \
    "bne 1b\n\t"
#define MCUGEN_MVE_STEPS_ODD MCUGEN_MVE_STEP MCUGEN_MVE_STEPS_EVEN
#define MCUGEN_MVE_BLOCK(steps, scale) MCUGEN_MVE_BIAS steps MCUGEN_MVE_GATHER "vmov r0, r2, s28, s29\n\t" scale MCUGEN_MVE_SATURATE

/* Depths of 16 keep the inputs in q6 and q7. r7 zero point, r9 end of the whole blocks, r11 rest. */
#define MCUGEN_MVE_BLOCK_16(scale)                                                                                     \
    "vldrw.32 q5, [r5], #16\n\t"                                                                                       \
    "vldrw.32 q0, [r5], #16\n\t"                                                                                       \
    "vmladav.s8 r0, q6, q0\n\t"                                                                                        \
    "vldrw.32 q1, [r5], #16\n\t"                                                                                       \
    "vmladav.s8 r8, q7, q0\n\t"                                                                                        \
    "vmladav.s8 r2, q6, q1\n\t"                                                                                        \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vmladav.s8 r10, q7, q1\n\t"                                                                                       \
    "vmladav.s8 r4, q6, q2\n\t"                                                                                        \
    "vldrw.32 q3, [r5], #16\n\t"                                                                                       \
    "vmladav.s8 r12, q7, q2\n\t"                                                                                       \
    "vmladav.s8 r6, q6, q3\n\t"                                                                                        \
    "vmladav.s8 lr, q7, q3\n\t" MCUGEN_MVE_GATHER "mov r0, r7\n\t"                                                     \
    "vadd.i32 q0, q0, q5\n\t"                                                                                          \
    "vadd.i32 q1, q1, q5\n\t" scale MCUGEN_MVE_SATURATE

#define MCUGEN_MVE_LOOP(steps, scale)                                                                                  \
    "vmov r4, s30\n\t"                                                                                                 \
    "cmp r5, r4\n\t"                                                                                                   \
    "beq 3f\n"                                                                                                         \
    "2:\n\t" MCUGEN_MVE_BLOCK(steps, scale) MCUGEN_MVE_STORE "subs r9, r9, r2\n\t"                                     \
    "subs r11, r11, r2\n\t"                                                                                            \
    "vmov r4, s30\n\t"                                                                                                 \
    "cmp r5, r4\n\t"                                                                                                   \
    "bne 2b\n"                                                                                                         \
    "3:\n\t"                                                                                                           \
    "vmov r4, s31\n\t"                                                                                                 \
    "cmp r4, #0\n\t"                                                                                                   \
    "beq 9f\n\t" MCUGEN_MVE_BLOCK(steps, scale) "vmov r6, s31\n\t" MCUGEN_MVE_STORE_REST "b 9f\n"

#define MCUGEN_MVE_MATMUL(name, scale)                                                                                 \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s8_mve *m);                                                     \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s8_mve *m)                                                      \
    {                                                                                                                  \
        register const struct mcugen_matmul_s8_mve *p __asm__("r0") = m;                                               \
        __asm__ volatile(MCUGEN_MVE_ENTER "ldrd r9, r11, [r0]\n\t"                                                                      \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r3, r2, [r0, #16]\n\t"                                                                  \
                         "ldrd r4, r6, [r0, #24]\n\t"                                                                  \
                         "ldr r8, [r0, #32]\n\t"                                                                       \
                         "cmp r2, #16\n\t"                                                                             \
                         "beq 5f\n\t"                                                                                  \
                         "vmov s28, s29, r6, r2\n\t"                                                                   \
                         "vmov s30, s31, r4, r8\n\t"                                                                   \
                         "add r7, r9, r2\n\t"                                                                          \
                         "tst r2, #16\n\t"                                                                             \
                         "beq 4f\n\t" MCUGEN_MVE_LOOP(MCUGEN_MVE_STEPS_ODD, scale) "4:\n\t" MCUGEN_MVE_LOOP(           \
                             MCUGEN_MVE_STEPS_EVEN, scale) "5:\n\t"                                                    \
                         "vldrb.8 q6, [r9]\n\t"                                                                        \
                         "vldrb.8 q7, [r11]\n\t"                                                                       \
                         "mov r7, r6\n\t"                                                                              \
                         "mov r9, r4\n\t"                                                                              \
                         "mov r11, r8\n\t"                                                                             \
                         "cmp r5, r9\n\t"                                                                              \
                         "beq 7f\n"                                                                                    \
                         "6:\n\t" MCUGEN_MVE_BLOCK_16(scale) MCUGEN_MVE_STORE "cmp r5, r9\n\t"                         \
                         "bne 6b\n"                                                                                    \
                         "7:\n\t"                                                                                      \
                         "cmp r11, #0\n\t"                                                                             \
                         "beq 9f\n\t" MCUGEN_MVE_BLOCK_16(scale) "mov r6, r11\n\t" MCUGEN_MVE_STORE_REST "9:\n\t" MCUGEN_MVE_LEAVE \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_MVE_CLOBBERS);                                                                       \
    }

/* C99 asks compilers for string literals of 4095 bytes only; clang counts assembly as one. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Woverlength-strings"
#endif
MCUGEN_MVE_MATMUL(mcugen_matmul_s8_mve, MCUGEN_MVE_SCALE)
MCUGEN_MVE_MATMUL(mcugen_matmul_any_s8_mve, MCUGEN_MVE_SCALE_ANY)
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

/* One pixel: r9 row of inputs, r5 weights, r1 output, r3 zero point, r7 pairs of steps, r8 depth, r10 end of the whole
 * blocks, r11 rest; accumulators r0, r2, r4, r6. */
#define MCUGEN_MVE_STEP_ONE                                                                                            \
    "vldrb.8 q0, [r9], #16\n\t"                                                                                        \
    "vldrw.32 q1, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r0, q0, q1\n\t"                                                                                       \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r2, q0, q2\n\t"                                                                                       \
    "vldrw.32 q3, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r4, q0, q3\n\t"                                                                                       \
    "vldrw.32 q4, [r5], #16\n\t"                                                                                       \
    "vmladava.s8 r6, q0, q4\n\t"
#define MCUGEN_MVE_SCALE_ONE                                                                                           \
    "vldrw.32 q1, [r5], #16\n\t"                                                                                       \
    "vqrdmlash.s32 q0, q1, r3\n\t"
#define MCUGEN_MVE_SCALE_ANY_ONE                                                                                       \
    "vldrw.32 q1, [r5], #16\n\t"                                                                                       \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vshl.s32 q0, q0, q2\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q1\n\t"                                                                                        \
    "vadd.i32 q0, q0, r3\n\t"
#define MCUGEN_MVE_BLOCK_ONE(scale)                                                                                    \
    "ldrd r0, r2, [r5], #8\n\t"                                                                                        \
    "ldrd r4, r6, [r5], #8\n\t"                                                                                        \
    "tst r8, #16\n\t"                                                                                                  \
    "beq 1f\n\t" MCUGEN_MVE_STEP_ONE "1:\n\t"                                                                          \
    "wls lr, r7, 3f\n"                                                                                                 \
    "2:\n\t" MCUGEN_MVE_STEP_ONE MCUGEN_MVE_STEP_ONE "le lr, 2b\n"                                                     \
    "3:\n\t"                                                                                                           \
    "vmov q0[2], q0[0], r0, r4\n\t"                                                                                    \
    "vmov q0[3], q0[1], r2, r6\n\t" scale "vqmovnb.s32 q0, q0\n\t"                                                     \
    "vqmovnb.s16 q0, q0\n\t"
#define MCUGEN_MVE_MATVEC(name, scale)                                                                                 \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s8_mve *m);                                                     \
    MCUGEN_SHARED void name(const struct mcugen_matmul_s8_mve *m)                                                      \
    {                                                                                                                  \
        register const struct mcugen_matmul_s8_mve *p __asm__("r0") = m;                                               \
        __asm__ volatile(MCUGEN_MVE_ENTER "ldr r9, [r0]\n\t"                                                                            \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r8, r10, [r0, #20]\n\t"                                                                 \
                         "ldrd r3, r11, [r0, #28]\n\t"                                                                 \
                         "lsr r7, r8, #5\n\t"                                                                          \
                         "cmp r5, r10\n\t"                                                                             \
                         "beq 5f\n"                                                                                    \
                         "4:\n\t" MCUGEN_MVE_BLOCK_ONE(scale) "vstrb.32 q0, [r1], #4\n\t"                              \
                         "subs r9, r9, r8\n\t"                                                                         \
                         "cmp r5, r10\n\t"                                                                             \
                         "bne 4b\n"                                                                                    \
                         "5:\n\t"                                                                                      \
                         "cmp r11, #0\n\t"                                                                             \
                         "beq 9f\n\t" MCUGEN_MVE_BLOCK_ONE(scale) "vctp.32 r11\n\t"                                    \
                         "vpst\n\t"                                                                                    \
                         "vstrbt.32 q0, [r1]\n"                                                                        \
                         "9:\n\t" MCUGEN_MVE_LEAVE                                                                     \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_MVE_CLOBBERS);                                                                       \
    }

MCUGEN_MVE_MATVEC(mcugen_matvec_s8_mve, MCUGEN_MVE_SCALE_ONE)
MCUGEN_MVE_MATVEC(mcugen_matvec_any_s8_mve, MCUGEN_MVE_SCALE_ANY_ONE)

#else

/* The same from plain C: `any` says which of the two streams it is.  As there, a block is stored when all of it is known. */
MCUGEN_SHARED void mcugen_matmul_twin(const struct mcugen_matmul_s8_mve *m, bool any);
MCUGEN_SHARED void mcugen_matmul_twin(const struct mcugen_matmul_s8_mve *m, bool any)
{
    const uint32_t *w = m->weights;
    for (int32_t first = 0; w != m->end || m->rest > 0; first += 4) {
        const int32_t channels = w != m->end ? 4 : m->rest;
        const uint32_t *bias = w;
        const int8_t *weights = (const int8_t *)(const void *)(w + 4);
        const uint32_t *multiplier = w + 4 + m->depth;
        int8_t sum[2][4];
        for (int32_t i = 0; i < 2 * channels; ++i) {
            const int32_t c = i >> 1;
            const int8_t *in = i & 1 ? m->in1 : m->in0;
            int32_t acc = (int32_t)bias[c];
            for (int32_t k = 0; k < m->depth; ++k) {
                acc += in[k] * weights[(k >> 4) * 64 + c * 16 + (k & 15)];
            }
            const int32_t scale = any ? (int32_t)multiplier[c] : (int32_t)(2 * multiplier[c]);
            const int32_t shift = any ? (int32_t)multiplier[4 + c] : 0;
            sum[i & 1][c] = mcugen_requantize_s8(acc, scale, shift, m->zero_point, -128, 127);
        }
        for (int32_t c = 0; c < channels; ++c) {
            m->out0[first + c] = sum[0][c];
            m->out1[first + c] = sum[1][c];
        }
        if (w == m->end) {
            break;
        }
        w = multiplier + (any ? 8 : 4);
    }
}

static MCUGEN_INLINE void mcugen_matmul_s8_mve(const struct mcugen_matmul_s8_mve *m)
{
    mcugen_matmul_twin(m, false);
}

static MCUGEN_INLINE void mcugen_matmul_any_s8_mve(const struct mcugen_matmul_s8_mve *m)
{
    mcugen_matmul_twin(m, true);
}

static MCUGEN_INLINE void mcugen_matvec_s8_mve(const struct mcugen_matmul_s8_mve *m)
{
    struct mcugen_matmul_s8_mve one = *m;
    one.in1 = one.in0;
    one.out1 = one.out0;
    mcugen_matmul_twin(&one, false);
}

static MCUGEN_INLINE void mcugen_matvec_any_s8_mve(const struct mcugen_matmul_s8_mve *m)
{
    struct mcugen_matmul_s8_mve one = *m;
    one.in1 = one.in0;
    one.out1 = one.out0;
    mcugen_matmul_twin(&one, true);
}

#endif

/* Behind the whole blocks of 4 channels in the stream. */
static MCUGEN_INLINE const uint32_t *mcugen_matmul_mve_end(const uint32_t *weights, int32_t channels, int32_t depth, bool any)
{
    return weights + (ptrdiff_t)(channels >> 2) * (depth + (any ? 12 : 8));
}

static MCUGEN_INLINE void mcugen_matmul_mve_run(const struct mcugen_matmul_s8_mve *m, bool any)
{
    if (any) {
        mcugen_matmul_any_s8_mve(m);
    } else {
        mcugen_matmul_s8_mve(m);
    }
}

/* One pixel, in0 to out0. */
static MCUGEN_INLINE void mcugen_matvec_mve_run(const struct mcugen_matmul_s8_mve *m, bool any)
{
    if (any) {
        mcugen_matvec_any_s8_mve(m);
    } else {
        mcugen_matvec_s8_mve(m);
    }
}

#endif /* MCUGEN_MATMUL_S8_MVE_H */
