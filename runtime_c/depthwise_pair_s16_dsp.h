/* SPDX-License-Identifier: Apache-2.0 */
/* The inner block of the DSP depthwise convolutions over int16: whole 3x3 windows of two pixels of a row, two channels at a time. */
#ifndef MCUGEN_DEPTHWISE_PAIR_S16_DSP_H
#define MCUGEN_DEPTHWISE_PAIR_S16_DSP_H

#include "clamp_s16.h"

/* Which of the columns that the two windows read together lie on the image; add 3 where the pixels are two columns apart. */
#define MCUGEN_PAIR_WHOLE 0
#define MCUGEN_PAIR_NO_FIRST 1
#define MCUGEN_PAIR_NO_LAST 2

struct mcugen_depthwise_pair_s16_dsp {
    const int8_t *in;            /* the image */
    int32_t pitch;               /* bytes from a row to the next */
    int32_t pixel;               /* bytes from a column to the next */
    const uint32_t *weights;     /* for every two channels initial[2], 9 words of two int16, multiplier[2] */
    const uint32_t *weights_end; /* behind the last channels; at least two in all */
    int8_t *out;                 /* the first pixel's channels */
    int32_t out_stride;          /* bytes from the first pixel to the second */
    int32_t zero_point;          /* of the output */
    int32_t store;               /* MCUGEN_STORE_ */
    int32_t form;                /* MCUGEN_PAIR_ */
    int32_t offset;              /* bytes from `in` to the first tap of the first pixel, which may lie beside the image */
};

#if MCUGEN_HAVE_DSP

/* A kernel row, its weights in r6-r8: first the columns 0 and 1, then 2 and 3, and of pixels two columns apart 4. */
#define MCUGEN_NEAR_LEFT "ldr r4, [r0]\n\tldr r5, [r0, r2]\n\tmcugen_0 r4, r6\n\tmcugen_0 r5, r7\n\tmcugen_1 r5, r6\n\t"
#define MCUGEN_NEAR_NO_LEFT "ldr r5, [r0, r2]\n\tmcugen_0 r5, r7\n\tmcugen_1 r5, r6\n\t"
#define MCUGEN_NEAR_RIGHT                                                                                              \
    "ldr r4, [r0, r2, lsl #1]\n\tldr r5, [r0, lr]\n\tmcugen_0 r4, r8\n\tmcugen_1 r4, r7\n\tmcugen_1 r5, r8\n\t"
#define MCUGEN_NEAR_NO_RIGHT "ldr r4, [r0, r2, lsl #1]\n\tmcugen_0 r4, r8\n\tmcugen_1 r4, r7\n\t"
#define MCUGEN_FAR_LEFT "ldr r4, [r0]\n\tldr r5, [r0, r2]\n\tmcugen_0 r4, r6\n\tmcugen_0 r5, r7\n\t"
#define MCUGEN_FAR_NO_LEFT "ldr r5, [r0, r2]\n\tmcugen_0 r5, r7\n\t"
#define MCUGEN_FAR_RIGHT                                                                                               \
    "ldr r4, [r0, r2, lsl #1]\n\tldr r5, [r0, lr]\n\tmcugen_0 r4, r8\n\tmcugen_1 r4, r6\n\tmcugen_1 r5, r7\n\t"
#define MCUGEN_FAR_LAST "ldr r4, [r0, r2, lsl #2]\n\tmcugen_1 r4, r8\n\t"

#define MCUGEN_PAIR(columns)                                                                                           \
    "ldm r3!, {r9, r10}\n\tmov r11, r9\n\tmov r12, r10\n\t.rept 3\n\tldm r3!, {r6-r8}\n\t" columns                       \
    "add r0, r0, r1\n\t.endr\n\t"

/* r0 in, r1 pitch, r2 pixel, r3 weights, r4 r5 inputs of two channels, r6-r8 weights, r9 r10 accumulators of the first pixel, r11 r12
 * of the second, lr three pixels.  Stack: 0 out, 4 out stride, 8 zero point, 12 the stores, 16 end of the weights, 20 entry. */
MCUGEN_SHARED void mcugen_depthwise_pair_s16_dsp(const struct mcugen_depthwise_pair_s16_dsp *m)
{
    register const struct mcugen_depthwise_pair_s16_dsp *p __asm__("r0") = m;
    __asm__ volatile(
        ".macro mcugen_0 x, w\n\tsmlabb r9, \\x, \\w, r9\n\tsmlatt r10, \\x, \\w, r10\n\t.endm\n\t"
        ".macro mcugen_1 x, w\n\tsmlabb r11, \\x, \\w, r11\n\tsmlatt r12, \\x, \\w, r12\n\t.endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #28\n\t"
        "ldm r0, {r0-r10}\n\t" /* in, pitch, pixel, weights, end, out, stride, zero point, store, form, offset */
        "add r0, r0, r10\n\t"
        "str r5, [sp, #0]\n\t"
        "str r6, [sp, #4]\n\t"
        "str r7, [sp, #8]\n\t"
        "str r4, [sp, #16]\n\t"
        "adr.w r4, 20f\n\t"
        "cmp r8, #1\n\t"
        "blt.n 1f\n\t"
        "adr.w r4, 21f\n\t"
        "beq.n 1f\n\t"
        "adr.w r4, 22f\n"
        "1:\n\t"
        "orr r4, r4, #1\n\t"
        "str r4, [sp, #12]\n\t"
        "adr.w r4, 10f\n\t"
        "cmp r9, #1\n\t"
        "blt.n 2f\n\t"
        "adr.w r4, 11f\n\t"
        "beq.n 2f\n\t"
        "adr.w r4, 12f\n\t"
        "cmp r9, #3\n\t"
        "blt.n 2f\n\t"
        "adr.w r4, 13f\n\t"
        "beq.n 2f\n\t"
        "adr.w r4, 14f\n\t"
        "cmp r9, #4\n\t"
        "beq.n 2f\n\t"
        "adr.w r4, 15f\n"
        "2:\n\t"
        "orr r4, r4, #1\n\t"
        "str r4, [sp, #20]\n\t"
        "add lr, r2, r2, lsl #1\n\t"
        "bx r4\n\t"
        ".balign 4\n"
        "10:\n\t" MCUGEN_PAIR(MCUGEN_NEAR_LEFT MCUGEN_NEAR_RIGHT) "b.w 3f\n\t"
        ".balign 4\n"
        "11:\n\t" MCUGEN_PAIR(MCUGEN_NEAR_NO_LEFT MCUGEN_NEAR_RIGHT) "b.w 3f\n\t"
        ".balign 4\n"
        "12:\n\t" MCUGEN_PAIR(MCUGEN_NEAR_LEFT MCUGEN_NEAR_NO_RIGHT) "b.w 3f\n\t"
        ".balign 4\n"
        "14:\n\t" MCUGEN_PAIR(MCUGEN_FAR_NO_LEFT MCUGEN_FAR_RIGHT MCUGEN_FAR_LAST) "b.w 3f\n\t"
        ".balign 4\n"
        "15:\n\t" MCUGEN_PAIR(MCUGEN_FAR_LEFT MCUGEN_FAR_RIGHT) "b.w 3f\n\t"
        ".balign 4\n"
        "13:\n\t" MCUGEN_PAIR(MCUGEN_FAR_LEFT MCUGEN_FAR_RIGHT MCUGEN_FAR_LAST)
        "3:\n\t"
        "ldm r3!, {r6, r7}\n\t"
        "ldr r4, [sp, #0]\n\t"
        "ldr r5, [sp, #4]\n\t"
        "ldr r8, [sp, #8]\n\t"
        "smmlar r9, r9, r6, r8\n\t"
        "smmlar r10, r10, r7, r8\n\t"
        "smmlar r11, r11, r6, r8\n\t"
        "smmlar r12, r12, r7, r8\n\t"
        "ldr r8, [sp, #12]\n\t"
        "ldr r6, [sp, #16]\n\t"
        "ldr r7, [sp, #20]\n\t"
        "sub r0, r0, r1, lsl #1\n\t"
        "sub r0, r0, r1\n\t"
        "add r0, r0, #4\n\t"
        "bx r8\n\t"
        ".balign 4\n"
        "20:\n\t"
        "ssat r9, #8, r9\n\t"
        "ssat r10, #8, r10\n\t"
        "ssat r11, #8, r11\n\t"
        "ssat r12, #8, r12\n\t"
        "strb r10, [r4, #1]\n\t"
        "strb r11, [r4, r5]\n\t"
        "strb r9, [r4], #1\n\t"
        "strb r12, [r4, r5]\n\t"
        "add r4, r4, #1\n\t"
        "b.n 4f\n\t"
        ".balign 4\n"
        "22:\n\t"
        "usat r9, #15, r9\n\t"
        "usat r10, #15, r10\n\t"
        "usat r11, #15, r11\n\t"
        "usat r12, #15, r12\n\t"
        "pkhbt r9, r9, r10, lsl #16\n\t"
        "pkhbt r11, r11, r12, lsl #16\n\t"
        "str r11, [r4, r5]\n\t"
        "str r9, [r4], #4\n\t"
        "str r4, [sp, #0]\n\t"
        "cmp r3, r6\n\t"
        "beq.n 5f\n\t"
        "bx r7\n\t"
        ".balign 4\n"
        "21:\n\t"
        "ssat r9, #16, r9\n\t"
        "ssat r10, #16, r10\n\t"
        "ssat r11, #16, r11\n\t"
        "ssat r12, #16, r12\n\t"
        "pkhbt r9, r9, r10, lsl #16\n\t"
        "pkhbt r11, r11, r12, lsl #16\n\t"
        "str r11, [r4, r5]\n\t"
        "str r9, [r4], #4\n"
        "4:\n\t"
        "str r4, [sp, #0]\n\t"
        "cmp r3, r6\n\t"
        "beq.n 5f\n\t"
        "bx r7\n"
        "5:\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_0\n\t"
        ".purgem mcugen_1\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#undef MCUGEN_NEAR_LEFT
#undef MCUGEN_NEAR_NO_LEFT
#undef MCUGEN_NEAR_RIGHT
#undef MCUGEN_NEAR_NO_RIGHT
#undef MCUGEN_FAR_LEFT
#undef MCUGEN_FAR_NO_LEFT
#undef MCUGEN_FAR_RIGHT
#undef MCUGEN_FAR_LAST
#undef MCUGEN_PAIR

#else

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_depthwise_pair_s16_dsp(const struct mcugen_depthwise_pair_s16_dsp *m)
{
    const int32_t apart = m->form < 3 ? 1 : 2;
    const int32_t form = m->form % 3;
    const int32_t bytes = m->store == MCUGEN_STORE_S8 ? 1 : 2;
    ptrdiff_t offset = m->offset;
    int8_t *out = m->out;
    for (const uint32_t *w = m->weights; w != m->weights_end; w += 13, offset += 4, out += 2 * bytes) {
        int32_t acc[2][2];
        for (int32_t i = 0; i < 4; ++i) {
            acc[i >> 1][i & 1] = (int32_t)w[i & 1];
        }
        for (int32_t i = 0; i < 18; ++i) {
            const int32_t tap = i >> 1;
            const int32_t second = i & 1;
            const int32_t column = tap % 3 + second * apart;
            if ((column == 0 && form == MCUGEN_PAIR_NO_FIRST) || (column == 2 + apart && form == MCUGEN_PAIR_NO_LAST)) {
                continue;
            }
            const uint32_t x = mcugen_load32(m->in + (offset + (ptrdiff_t)(tap / 3) * m->pitch + (ptrdiff_t)column * m->pixel));
            acc[second][0] = mcugen_smlabb(x, w[2 + tap], acc[second][0]);
            acc[second][1] = mcugen_smlatt(x, w[2 + tap], acc[second][1]);
        }
        for (int32_t i = 0; i < 4; ++i) {
            const int32_t value = mcugen_smmlar(acc[i >> 1][i & 1], (int32_t)w[11 + (i & 1)], m->zero_point);
            mcugen_put(out + (ptrdiff_t)(i >> 1) * m->out_stride, i & 1, mcugen_saturate_stored(value, m->store), bytes);
        }
    }
}

#endif

#endif /* MCUGEN_DEPTHWISE_PAIR_S16_DSP_H */
