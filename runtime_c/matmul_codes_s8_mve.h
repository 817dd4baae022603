/* SPDX-License-Identifier: Apache-2.0 */
/* The inner blocks of the MVE convolutions and fully connected layers with weights of 4 bits: 4 output channels of 2 pixels, or of
 * one.
 *
 * A byte holds the codes of two inputs, 16 apart.  What they stand for, by `kind`:
 *   INT4: themselves.  Shifted up by 4 bits a byte is 16 times the lower one, without its lower bits 16 times the upper one: VMLADAVA
 *     multiplies both by int8 inputs as they are, and sums are 16 times what they stand for.  They are proved to fit 32 bits when the
 *     layer is compiled, and the last 4 bits, which are 0, are shifted away before the multiplication.
 *   INT4X32: themselves times a factor for every 32 inputs of a channel, which fits int8.
 *   TABLE: entries of a table of 16 int8, which are gathered.
 * Every step reads 32 inputs: rows of weights are filled up with codes of 0, and up to 31 bytes behind an input row are read, whatever
 * they hold.
 *
 * Weight stream, for every 4 channels (the last ones filled up with zeros), in words:
 *   int32 bias[4]; for every 32 inputs uint8 codes[4][16]; int32 multiplier[4]; int8 shift[4]
 * Byte i of 16 has the code of input i in its lower half, of input i + 16 in the upper.  INT4 has 16 times the bias and no shifts,
 * INT4_ANY 16 times the bias and shifts less 4; INT4X32 has uint8 factor[4] before the codes of every 32 inputs. */
#ifndef MCUGEN_MATMUL_CODES_S8_MVE_H
#define MCUGEN_MATMUL_CODES_S8_MVE_H

#include <stdint.h>

#include "fixed_point.h"
#include "mcugen.h"

#define MCUGEN_CODES_INT4 0
#define MCUGEN_CODES_INT4_ANY 1
#define MCUGEN_CODES_INT4X32 2
#define MCUGEN_CODES_TABLE_S8 3

struct mcugen_matmul_codes_s8_mve {
    const int8_t *in0, *in1; /* a row of `depth` bytes for each pixel, at any address */
    const uint32_t *weights;
    int8_t *out0, *out1; /* the channels of each pixel; for one pixel the same, and in1 = in0 */
    int32_t depth;       /* a multiple of 32 */
    int32_t channels;    /* at least 1 */
    int32_t zero_point;  /* of the output */
    const int8_t *table; /* 16 values, where weights are looked up */
};

#if MCUGEN_HAVE_MVE

#define MCUGEN_CODES_ENTER(mask) "push {r4-r11, lr}\n\tvpush {d8-d15}\n\tsub sp, sp, #16\n\tvmov.i8 q7, #" mask "\n\t"
#define MCUGEN_CODES_LEAVE "add sp, sp, #16\n\tvpop {d8-d15}\n\tpop {r4-r11, lr}\n\t"
#define MCUGEN_CODES_CLOBBERS "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory"

/* A channel's weights of 32 inputs: products of the lower halves, then of the upper ones.  `r` is the register of the table or of
 * the factor, which lies `at` bytes before the codes. */
#define MCUGEN_CODES_LOW_INT4(r, at) "vldrw.32 q4, [r5], #16\n\tvshl.i8 q5, q4, #4\n\tvand q4, q4, q7\n\t"
#define MCUGEN_CODES_HIGH_INT4(r)
#define MCUGEN_CODES_LOW_INT4X32(r, at)                                                                                \
    "ldrb " r ", [r5, #-" at "]\n\t"                                                                                   \
    "vldrw.32 q4, [r5], #16\n\t"                                                                                       \
    "vshl.i8 q5, q4, #4\n\t"                                                                                           \
    "vshr.s8 q5, q5, #4\n\t"                                                                                           \
    "vshr.s8 q4, q4, #4\n\t"                                                                                           \
    "vmul.i8 q5, q5, " r "\n\t"
#define MCUGEN_CODES_HIGH_INT4X32(r) "vmul.i8 q4, q4, " r "\n\t"
#define MCUGEN_CODES_LOW_TABLE(r, at)                                                                                  \
    "vldrw.32 q6, [r5], #16\n\t"                                                                                       \
    "vand q4, q6, q7\n\t"                                                                                              \
    "vldrb.u8 q5, [" r ", q4]\n\t"                                                                                     \
    "vshr.u8 q6, q6, #4\n\t"
#define MCUGEN_CODES_HIGH_TABLE(r) "vldrb.u8 q4, [" r ", q6]\n\t"

#define MCUGEN_CODES_CHANNEL(kind, at, first, second)                                                                  \
    MCUGEN_CODES_LOW_##kind("r3", at) "vmladava.s8 " first ", q0, q5\n\t"                                              \
    "vmladava.s8 " second ", q1, q5\n\t" MCUGEN_CODES_HIGH_##kind("r3") "vmladava.s8 " first ", q2, q4\n\t"            \
    "vmladava.s8 " second ", q3, q4\n\t"
#define MCUGEN_CODES_CHANNEL_ONE(kind, at, first)                                                                      \
    MCUGEN_CODES_LOW_##kind("r11", at) "vmladava.s8 " first ", q0, q5\n\t" MCUGEN_CODES_HIGH_##kind("r11")             \
    "vmladava.s8 " first ", q2, q4\n\t"

/* What a layer and a step begin with. */
#define MCUGEN_CODES_LAYER_INT4(r)
#define MCUGEN_CODES_LAYER_INT4X32(r)
#define MCUGEN_CODES_LAYER_TABLE(r) "ldr " r ", [r0, #32]\n\t"
#define MCUGEN_CODES_STEP_INT4
#define MCUGEN_CODES_STEP_INT4X32 "add r5, r5, #4\n\t"
#define MCUGEN_CODES_STEP_TABLE
#define MCUGEN_CODES_MASK_INT4 "0xf0"
#define MCUGEN_CODES_MASK_INT4X32 "0"
#define MCUGEN_CODES_MASK_TABLE "0x0f"

/* q0 and q1: accumulators of the two pixels. */
#define MCUGEN_CODES_SCALE                                                                                             \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vshr.s32 q0, q0, #4\n\t"                                                                                          \
    "vshr.s32 q1, q1, #4\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_CODES_SCALE_ANY                                                                                         \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                       \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vshl.s32 q1, q1, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"                                                                                        \
    "vrmulh.s32 q1, q1, q2\n\t"
#define MCUGEN_CODES_SCALE_ONE                                                                                         \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vshr.s32 q0, q0, #4\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"
#define MCUGEN_CODES_SCALE_ANY_ONE                                                                                     \
    "vldrw.32 q2, [r5], #16\n\t"                                                                                       \
    "vldrb.s32 q3, [r5], #4\n\t"                                                                                       \
    "vshl.s32 q0, q0, q3\n\t"                                                                                          \
    "vrmulh.s32 q0, q0, q2\n\t"

/* Two pixels: r9, r11 rows of inputs, r7 the first one's end, r5 weights, r1 output, r3 table or factor; accumulators r0, r2, r4,
 * r6 and r8, r10, r12, lr; q7 a mask.  Stack: 0 zero point, 4 depth, 8 channels left, 12 from the first output to the second. */
#define MCUGEN_CODES_MATMUL(name, kind, scale)                                                                         \
    MCUGEN_SHARED void name(const struct mcugen_matmul_codes_s8_mve *m);                                               \
    MCUGEN_SHARED void name(const struct mcugen_matmul_codes_s8_mve *m)                                                \
    {                                                                                                                  \
        register const struct mcugen_matmul_codes_s8_mve *p __asm__("r0") = m;                                         \
        __asm__ volatile(MCUGEN_CODES_ENTER(MCUGEN_CODES_MASK_##kind) "ldrd r9, r11, [r0]\n\t"                         \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r3, r2, [r0, #16]\n\t"                                                                  \
                         "ldrd r4, r6, [r0, #24]\n\t"                                                                  \
                         "sub r3, r3, r1\n\t"                                                                          \
                         "strd r6, r2, [sp]\n\t"                                                                       \
                         "strd r4, r3, [sp, #8]\n\t" MCUGEN_CODES_LAYER_##kind("r3") "add r7, r9, r2\n"                \
                         "2:\n\t"                                                                                      \
                         "ldrd r8, r10, [r5]\n\t"                                                                      \
                         "ldrd r12, lr, [r5, #8]\n\t"                                                                  \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n"                                                                     \
                         "1:\n\t" MCUGEN_CODES_STEP_##kind "vldrb.8 q0, [r9], #16\n\t"                                 \
                         "vldrb.8 q1, [r11], #16\n\t"                                                                  \
                         "vldrb.8 q2, [r9], #16\n\t"                                                                   \
                         "vldrb.8 q3, [r11], #16\n\t"                                                                  \
                         MCUGEN_CODES_CHANNEL(kind, "4", "r0", "r8") MCUGEN_CODES_CHANNEL(kind, "19", "r2", "r10")     \
                         MCUGEN_CODES_CHANNEL(kind, "34", "r4", "r12") MCUGEN_CODES_CHANNEL(kind, "49", "r6", "lr")    \
                         "cmp r9, r7\n\t"                                                                              \
                         "bne 1b\n\t"                                                                                  \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t"                                                               \
                         "vmov q1[2], q1[0], r8, r12\n\t"                                                              \
                         "vmov q1[3], q1[1], r10, lr\n\t"                                                              \
                         "ldrd r0, r2, [sp]\n\t"                                                                       \
                         "ldrd r6, r8, [sp, #8]\n\t" scale "vadd.i32 q0, q0, r0\n\t"                                   \
                         "vadd.i32 q1, q1, r0\n\t"                                                                     \
                         "vqmovnb.s32 q0, q0\n\t"                                                                      \
                         "vqmovnb.s32 q1, q1\n\t"                                                                      \
                         "vqmovnb.s16 q0, q0\n\t"                                                                      \
                         "vqmovnb.s16 q1, q1\n\t"                                                                      \
                         "add r4, r1, r8\n\t"                                                                          \
                         "vctp.32 r6\n\t"                                                                              \
                         "vpstt\n\t"                                                                                   \
                         "vstrbt.32 q0, [r1], #4\n\t"                                                                  \
                         "vstrbt.32 q1, [r4]\n\t"                                                                      \
                         "sub r9, r9, r2\n\t"                                                                          \
                         "sub r11, r11, r2\n\t"                                                                        \
                         "subs r6, r6, #4\n\t"                                                                         \
                         "str r6, [sp, #8]\n\t"                                                                        \
                         "bgt 2b\n\t" MCUGEN_CODES_LEAVE                                                               \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_CODES_CLOBBERS);                                                                     \
    }

/* One pixel: r9 row of inputs, r5 weights, r1 output, r3 zero point, r7 steps, r8 depth, r10 channels left, r11 table or factor;
 * accumulators r0, r2, r4, r6. */
#define MCUGEN_CODES_MATVEC(name, kind, scale)                                                                         \
    MCUGEN_SHARED void name(const struct mcugen_matmul_codes_s8_mve *m);                                               \
    MCUGEN_SHARED void name(const struct mcugen_matmul_codes_s8_mve *m)                                                \
    {                                                                                                                  \
        register const struct mcugen_matmul_codes_s8_mve *p __asm__("r0") = m;                                         \
        __asm__ volatile(MCUGEN_CODES_ENTER(MCUGEN_CODES_MASK_##kind) "ldr r9, [r0]\n\t"                               \
                         "ldrd r5, r1, [r0, #8]\n\t"                                                                   \
                         "ldrd r8, r10, [r0, #20]\n\t"                                                                 \
                         "ldr r3, [r0, #28]\n\t" MCUGEN_CODES_LAYER_##kind("r11") "lsr r7, r8, #5\n"                   \
                         "4:\n\t"                                                                                      \
                         "ldrd r0, r2, [r5], #8\n\t"                                                                   \
                         "ldrd r4, r6, [r5], #8\n\t"                                                                   \
                         "dls lr, r7\n"                                                                                \
                         "2:\n\t" MCUGEN_CODES_STEP_##kind "vldrb.8 q0, [r9], #16\n\t"                                 \
                         "vldrb.8 q2, [r9], #16\n\t"                                                                   \
                         MCUGEN_CODES_CHANNEL_ONE(kind, "4", "r0") MCUGEN_CODES_CHANNEL_ONE(kind, "19", "r2")          \
                         MCUGEN_CODES_CHANNEL_ONE(kind, "34", "r4") MCUGEN_CODES_CHANNEL_ONE(kind, "49", "r6")         \
                         "le lr, 2b\n\t"                                                                               \
                         "vmov q0[2], q0[0], r0, r4\n\t"                                                               \
                         "vmov q0[3], q0[1], r2, r6\n\t" scale "vadd.i32 q0, q0, r3\n\t"                               \
                         "vqmovnb.s32 q0, q0\n\t"                                                                      \
                         "vqmovnb.s16 q0, q0\n\t"                                                                      \
                         "vctp.32 r10\n\t"                                                                             \
                         "vpst\n\t"                                                                                    \
                         "vstrbt.32 q0, [r1], #4\n\t"                                                                  \
                         "sub r9, r9, r8\n\t"                                                                          \
                         "subs r10, r10, #4\n\t"                                                                       \
                         "bgt 4b\n\t" MCUGEN_CODES_LEAVE                                                               \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : MCUGEN_CODES_CLOBBERS);                                                                     \
    }

MCUGEN_CODES_MATMUL(mcugen_matmul_int4_s8_mve, INT4, MCUGEN_CODES_SCALE)
MCUGEN_CODES_MATMUL(mcugen_matmul_int4_any_s8_mve, INT4, MCUGEN_CODES_SCALE_ANY)
MCUGEN_CODES_MATMUL(mcugen_matmul_int4x32_s8_mve, INT4X32, MCUGEN_CODES_SCALE_ANY)
MCUGEN_CODES_MATMUL(mcugen_matmul_table_s8_mve, TABLE, MCUGEN_CODES_SCALE_ANY)
MCUGEN_CODES_MATVEC(mcugen_matvec_int4_s8_mve, INT4, MCUGEN_CODES_SCALE_ONE)
MCUGEN_CODES_MATVEC(mcugen_matvec_int4_any_s8_mve, INT4, MCUGEN_CODES_SCALE_ANY_ONE)
MCUGEN_CODES_MATVEC(mcugen_matvec_int4x32_s8_mve, INT4X32, MCUGEN_CODES_SCALE_ANY_ONE)
MCUGEN_CODES_MATVEC(mcugen_matvec_table_s8_mve, TABLE, MCUGEN_CODES_SCALE_ANY_ONE)

/* Two pixels, or one: in0 to out0. */
static MCUGEN_INLINE void mcugen_matmul_codes_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind)
{
    if (kind == MCUGEN_CODES_INT4) {
        mcugen_matmul_int4_s8_mve(m);
    } else if (kind == MCUGEN_CODES_INT4_ANY) {
        mcugen_matmul_int4_any_s8_mve(m);
    } else if (kind == MCUGEN_CODES_INT4X32) {
        mcugen_matmul_int4x32_s8_mve(m);
    } else {
        mcugen_matmul_table_s8_mve(m);
    }
}

static MCUGEN_INLINE void mcugen_matvec_codes_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind)
{
    if (kind == MCUGEN_CODES_INT4) {
        mcugen_matvec_int4_s8_mve(m);
    } else if (kind == MCUGEN_CODES_INT4_ANY) {
        mcugen_matvec_int4_any_s8_mve(m);
    } else if (kind == MCUGEN_CODES_INT4X32) {
        mcugen_matvec_int4x32_s8_mve(m);
    } else {
        mcugen_matvec_table_s8_mve(m);
    }
}

#else

/* What a code stands for, as the sums count it. */
static inline int32_t mcugen_code_value_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind, int32_t code, int32_t factor)
{
    if (kind == MCUGEN_CODES_TABLE_S8) {
        return m->table[code];
    }
    return (code < 8 ? code : code - 16) * (kind == MCUGEN_CODES_INT4X32 ? factor : 16);
}

/* The same from plain C; as there, a block is stored when all of it is known. */
MCUGEN_SHARED void mcugen_matmul_codes_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind);
MCUGEN_SHARED void mcugen_matmul_codes_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind)
{
    const int32_t factors = kind == MCUGEN_CODES_INT4X32 ? 4 : 0;
    const int32_t down = kind <= MCUGEN_CODES_INT4_ANY ? 4 : 0;
    const uint32_t *w = m->weights;
    for (int32_t first = 0; first < m->channels; first += 4) {
        const int32_t channels = m->channels - first < 4 ? m->channels - first : 4;
        const uint8_t *codes = (const uint8_t *)(const void *)(w + 4);
        const uint32_t *multiplier = w + 4 + (m->depth >> 5) * ((64 + factors) >> 2);
        const int8_t *shifts = (const int8_t *)(const void *)(multiplier + 4);
        int8_t value[2][4];
        for (int32_t i = 0; i < 2 * channels; ++i) {
            const int32_t c = i >> 1;
            const int8_t *in = i & 1 ? m->in1 : m->in0;
            int32_t acc = (int32_t)w[c];
            for (int32_t k = 0; k < m->depth; ++k) {
                const uint8_t *step = codes + (k >> 5) * (64 + factors);
                const int32_t byte = step[factors + c * 16 + (k & 15)];
                acc += in[k] * mcugen_code_value_mve(m, kind, k & 16 ? byte >> 4 : byte & 15, step[c]);
            }
            const int32_t shift = kind == MCUGEN_CODES_INT4 ? 0 : shifts[c] + down;
            value[i & 1][c] = mcugen_requantize_s8(acc >> down, (int32_t)multiplier[c], shift, m->zero_point, -128, 127);
        }
        for (int32_t c = 0; c < channels; ++c) {
            m->out0[first + c] = value[0][c];
            m->out1[first + c] = value[1][c];
        }
        w = multiplier + (kind == MCUGEN_CODES_INT4 ? 4 : 5);
    }
}

static MCUGEN_INLINE void mcugen_matvec_codes_mve(const struct mcugen_matmul_codes_s8_mve *m, int32_t kind)
{
    struct mcugen_matmul_codes_s8_mve one = *m;
    one.in1 = one.in0;
    one.out1 = one.out0;
    mcugen_matmul_codes_mve(&one, kind);
}

#endif

#endif /* MCUGEN_MATMUL_CODES_S8_MVE_H */
