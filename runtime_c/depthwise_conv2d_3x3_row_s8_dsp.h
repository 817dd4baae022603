/* SPDX-License-Identifier: Apache-2.0 */
/* One output row of a 3x3 depthwise convolution with stride 1, int8, without scratch, for cores with the DSP instructions. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_ROW_S8_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_ROW_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "depthwise_asm_dsp.h"
#include "fixed_point.h"

/* in [3][in_w][channels], out [out_w][channels], which may be the first row of `in`; at most one column of padding on each side.
 * weights: `channels` records of depthwise_rows_s8_dsp.h. */
struct mcugen_depthwise_conv2d_3x3_row_s8_dsp {
    int32_t in_w;
    int32_t out_w;
    int32_t channels; /* less than 65536 */
    int32_t pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

struct mcugen_depthwise_row_s8_dsp {
    const uint32_t *weights;
    const int8_t *in;
    int32_t row_step;
    int8_t *out;
    int32_t channels;
    int32_t outputs;     /* those whose last column exists */
    int32_t left, right; /* 1: the first output's first, the last output's last column is padding */
    int32_t in_zero_point, out_zero_point;
};

#if MCUGEN_HAVE_DSP

/* r0 column, r1 row step, r2 its upper two rows, r3 the third, r4 r12 the sums of two outputs, r5-r7 the columns' weights of two
 * rows, r8 the third row's first two, r9 its last and the pixel step in the high half, r10 multiplier, r11 zero point, lr from
 * an output's last column to the output.
 * Stack: 0 weights, 4 first column of the loop, 8 row step, 12 lr, 16 channels left, 20 outputs, 24 left, 28 right, 32 input
 * zero point in both halves, 36 output zero point, 40 bias, 44 end of the loop's columns, 48 entry of the loop, 52 pixel step,
 * 56 first column. */
MCUGEN_SHARED void mcugen_depthwise_row_s8_dsp(const struct mcugen_depthwise_row_s8_dsp *row)
{
    register const struct mcugen_depthwise_row_s8_dsp *p __asm__("r0") = row;
    __asm__ volatile(
        ".macro mcugen_column third\n\t"
        "ldrsb.w r2, [r0]\n\t"
        "ldrsb.w r3, [r0, r1]\n\t"
        "pkhbt r2, r2, r3, lsl #16\n\t"
        "ldrsb.w \\third, [r0, r1, lsl #1]\n\t"
        "uxtah r0, r0, r9, ror #16\n\t"
        ".endm\n\t"
        /* one column: the last of sum f, whose output is stored, the middle of sum m, the first of the next sum; 60 bytes */
        ".macro mcugen_step f, m\n\t"
        "ldrsb.w r2, [r0]\n\t"
        "ldrsb.w r3, [r0, r1]\n\t"
        "pkhbt r2, r2, r3, lsl #16\n\t"
        "smlad \\f, r2, r7, \\f\n\t"
        "smlad \\m, r2, r6, \\m\n\t"
        "ldrsb.w r3, [r0, r1, lsl #1]\n\t"
        "smlabb \\f, r3, r9, \\f\n\t"
        "smlabt \\m, r3, r8, \\m\n\t"
        "smmlar \\f, \\f, r10, r11\n\t"
        "ssat \\f, #8, \\f\n\t"
        "strb.w \\f, [r0, lr]\n\t"
        "ldr.w \\f, [sp, #40]\n\t"
        "smlad \\f, r2, r5, \\f\n\t"
        "smlabb \\f, r3, r8, \\f\n\t"
        "uxtah r0, r0, r9, ror #16\n\t"
        ".endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #60\n\t"
        "ldm r0, {r1-r10}\n\t"
        "pkhbt r9, r9, r9, lsl #16\n\t"
        "stm sp, {r1-r10}\n\t"
        "str r5, [sp, #52]\n\t"
        "str r2, [sp, #56]\n\t"
        "rsb r12, r7, #2\n\t"
        "mla r12, r12, r5, r2\n\t"
        "str r12, [sp, #4]\n\t"
        "sub r4, r4, r12\n\t"
        "str r4, [sp, #12]\n\t"
        "mla r12, r6, r5, r12\n\t"
        "str r12, [sp, #44]\n\t"
        "adr.w r3, 3f\n\t"
        "rsb r6, r6, #0\n\t"
        "and r6, r6, #3\n\t"
        "mov r4, #60\n\t"
        "mla r3, r6, r4, r3\n\t"
        "orr r3, r3, #1\n\t"
        "str r3, [sp, #48]\n"

        "1:\n\t"
        "ldr r0, [sp, #0]\n\t"
        "ldr r5, [sp, #52]\n\t"
        MCUGEN_ASM_DEPTHWISE_RECORD
        "str r12, [sp, #40]\n\t"
        "ldr r3, [sp, #24]\n\t"
        "ldr r0, [sp, #56]\n\t"
        "ldr r1, [sp, #8]\n\t"
        "ldr lr, [sp, #12]\n\t"
        "ldr r11, [sp, #36]\n\t"
        "ldr r2, [sp, #32]\n\t"
        "mov r4, r2\n\t"
        "cbnz r3, 2f\n\t"
        "mcugen_column r4\n"
        "2:\n\t"
        "smlad r12, r2, r5, r12\n\t"
        "smlabb r12, r4, r8, r12\n\t"
        "mcugen_column r4\n\t"
        "ldr r3, [sp, #40]\n\t"
        "smlad r12, r2, r6, r12\n\t"
        "smlabt r12, r4, r8, r12\n\t"
        "smlad r3, r2, r5, r3\n\t"
        "smlabb r4, r4, r8, r3\n\t"
        "ldr r2, [sp, #20]\n\t"
        "ldr r3, [sp, #48]\n\t"
        "tst r2, #1\n\t"
        "ittt ne\n\t"
        "movne r2, r12\n\t"
        "movne r12, r4\n\t"
        "movne r4, r2\n\t"
        "ldr r2, [sp, #44]\n\t"
        "cmp r0, r2\n\t"
        "beq.w 4f\n\t"
        "bx r3\n\t"
        ".balign 4\n"
        "3:\n\t"
        ".rept 2\n\t"
        "mcugen_step r12, r4\n\t"
        "mcugen_step r4, r12\n\t"
        ".endr\n\t"
        "ldr r2, [sp, #44]\n\t"
        "cmp r0, r2\n\t"
        "bne.w 3b\n"
        "4:\n\t"
        "ldr r3, [sp, #28]\n\t"
        "cbz r3, 9f\n\t"
        "ldr r2, [sp, #32]\n\t"
        "smlad r12, r2, r7, r12\n\t"
        "smlabb r12, r2, r9, r12\n\t"
        "smmlar r12, r12, r10, r11\n\t"
        "ssat r12, #8, r12\n\t"
        "strb.w r12, [r0, lr]\n"
        "9:\n\t"
        "ldr r0, [sp, #56]\n\t"
        "ldr r2, [sp, #44]\n\t"
        "ldr r3, [sp, #16]\n\t"
        "add r0, r0, #1\n\t"
        "add r2, r2, #1\n\t"
        "str r0, [sp, #56]\n\t"
        "str r2, [sp, #44]\n\t"
        "subs r3, r3, #1\n\t"
        "str r3, [sp, #16]\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #60\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_column\n\t"
        ".purgem mcugen_step\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly: the same outputs, the same order of reading and writing. */
MCUGEN_SHARED void mcugen_depthwise_row_s8_dsp(const struct mcugen_depthwise_row_s8_dsp *row)
{
    static const uint8_t place[9] = {0, 1, 4, 2, 3, 6, 5, 7, 8};
    const int32_t count = row->outputs + row->right;
    for (int32_t c = 0; c < row->channels; ++c) {
        const uint32_t *record = row->weights + (ptrdiff_t)5 * c;
        const int32_t scale = (int32_t)((uint32_t)1 << ((record[2] >> 8) & 255u));
        int32_t sums[3] = {(int32_t)record[3], (int32_t)record[3], (int32_t)record[3]};
        /* every column once: it adds its taps to the sums of three outputs, of which the first is then whole */
        for (int32_t x = -row->left; x < count + 2 - row->left; ++x) {
            const bool beside = x < 0 || x >= count + 2 - row->left - row->right;
            for (int32_t tap = 0; tap < 9; ++tap) {
                const uint32_t byte = record[place[tap] >> 2] >> (8 * (place[tap] & 3));
                const int32_t offset = (tap / 3) * row->row_step + x * row->channels + c;
                const int32_t value = beside ? row->in_zero_point : row->in[offset];
                int32_t *sum = &sums[2 - tap % 3];
                *sum = mcugen_wrap_add(*sum, (int32_t)(int8_t)(uint8_t)byte * scale * value, 0);
            }
            const int32_t done = x + row->left - 2;
            if (done >= 0) {
                const int32_t scaled = mcugen_smmlar(sums[0], (int32_t)record[4], row->out_zero_point);
                row->out[(ptrdiff_t)done * row->channels + c] = (int8_t)mcugen_ssat8(scaled);
            }
            sums[0] = sums[1];
            sums[1] = sums[2];
            sums[2] = (int32_t)record[3];
        }
    }
}

#endif

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_row_s8_dsp(const struct mcugen_depthwise_conv2d_3x3_row_s8_dsp *p,
                                                                 const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t right = p->out_w - p->pad_left + 2 > p->in_w ? 1 : 0;
    const struct mcugen_depthwise_row_s8_dsp row = {
        .weights = p->weights,
        .in = in,
        .row_step = p->in_w * p->channels,
        .out = out,
        .channels = p->channels,
        .outputs = p->out_w - right,
        .left = p->pad_left,
        .right = right,
        .in_zero_point = p->in_zero_point,
        .out_zero_point = p->out_zero_point,
    };
    mcugen_depthwise_row_s8_dsp(&row);
    mcugen_clamp_s8(out, p->out_w * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_ROW_S8_DSP_H */
