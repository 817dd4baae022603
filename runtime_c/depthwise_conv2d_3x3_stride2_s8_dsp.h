/* SPDX-License-Identifier: Apache-2.0 */
/* 3x3 depthwise convolution with stride 2, int8, without scratch, for cores with the DSP instructions. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_STRIDE2_S8_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_STRIDE2_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "depthwise_asm_dsp.h"
#include "fixed_point.h"

/* in [in_h][in_w][channels], in_h >= 3, out [out_h][out_w][channels]; at most one row or column of padding on each side.
 * weights: `channels` records of depthwise_rows_s8_dsp.h. */
struct mcugen_depthwise_conv2d_3x3_stride2_s8_dsp {
    int32_t in_h, in_w;
    int32_t out_h, out_w;
    int32_t channels; /* less than 65536 */
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

/* One output row.  A window whose first row is padding reads the two that exist and the one below them, one whose last row is
 * padding reads from the image's last row upwards; the third row read counts nothing then. */
struct mcugen_depthwise_line_s8_dsp {
    const uint32_t *weights;
    const int8_t *in;    /* first row read, first column that exists */
    int32_t row_step;    /* bytes to the next row read */
    int8_t *out;
    int32_t channels;
    int32_t outputs;     /* those whose last column exists */
    int32_t left, right; /* 1: the first output's first, the last output's last column is padding */
    int32_t rows;        /* 0: all exist, 1: the first is padding, 2: the last is padding */
    int32_t in_zero_point, out_zero_point;
};

#if MCUGEN_HAVE_DSP

/* r0 column, r1 row step, r2-r4 its rows, r5-r7 the columns' weights of two rows, r8 the third row's first two, r9 its last and
 * the pixel step in the high half, r10 multiplier, r11 zero point, r12 sum, lr out.
 * Stack: 0 weights, 4 in, 8 row step, 12 out, 16 channels left, 20 outputs, 24 left, 28 right, 32 rows, 36 input zero point in
 * both halves, 40 output zero point, 44 bias, 48 end of the loop's columns, 52 entry of the loop, 56 pixel step. */
MCUGEN_SHARED void mcugen_depthwise_line_s8_dsp(const struct mcugen_depthwise_line_s8_dsp *line)
{
    register const struct mcugen_depthwise_line_s8_dsp *p __asm__("r0") = line;
    __asm__ volatile(
        ".macro mcugen_rows\n\t"
        "ldrsb.w r2, [r0]\n\t"
        "ldrsb.w r3, [r0, r1]\n\t"
        "ldrsb.w r4, [r0, r1, lsl #1]\n\t"
        "uxtah r0, r0, r9, ror #16\n\t"
        "pkhbt r2, r2, r3, lsl #16\n\t"
        ".endm\n\t"
        ".macro mcugen_store\n\t"
        "smmlar r12, r12, r10, r11\n\t"
        "ssat r12, #8, r12\n\t"
        "strb.w r12, [lr]\n\t"
        ".endm\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #60\n\t"
        "ldm r0, {r1-r11}\n\t"
        "pkhbt r10, r10, r10, lsl #16\n\t"
        "stm sp, {r1-r11}\n\t"
        "str r5, [sp, #56]\n\t"
        /* columns of the loop: two an output, and one before them where it exists */
        "lsl r12, r6, #1\n\t"
        "add r12, r12, #1\n\t"
        "sub r12, r12, r7\n\t"
        "mla r12, r12, r5, r2\n\t"
        "str r12, [sp, #48]\n\t"
        "adr.w r3, 3f\n\t"
        "rsb r6, r6, #0\n\t"
        "and r6, r6, #3\n\t"
        "mov r4, #84\n\t"
        "mla r3, r6, r4, r3\n\t"
        "orr r3, r3, #1\n\t"
        "str r3, [sp, #52]\n"

        "1:\n\t"
        "ldr r0, [sp, #0]\n\t"
        "ldr r1, [sp, #36]\n\t"
        "ldr r5, [sp, #56]\n\t"
        "ldr r11, [sp, #32]\n\t"
        MCUGEN_ASM_DEPTHWISE_RECORD
        "cmp r11, #1\n\t"
        "blt.n 8f\n\t"
        "bgt.n 7f\n\t"
        "smlabb r12, r5, r1, r12\n\t"
        "smlabb r12, r6, r1, r12\n\t"
        "smlabb r12, r7, r1, r12\n\t"
        "lsr r5, r5, #16\n\t"
        "lsr r7, r7, #16\n\t"
        "pkhbt r5, r5, r8, lsl #16\n\t"
        "pkhtb r6, r8, r6, asr #16\n\t"
        "pkhbt r7, r7, r9, lsl #16\n\t"
        "mov r8, #0\n\t"
        "bfc r9, #0, #16\n\t"
        "b.n 8f\n"
        "7:\n\t"
        "smlabb r12, r8, r1, r12\n\t"
        "smlatb r12, r8, r1, r12\n\t"
        "smlabb r12, r9, r1, r12\n\t"
        "ror r5, r5, #16\n\t"
        "ror r6, r6, #16\n\t"
        "ror r7, r7, #16\n\t"
        "mov r8, #0\n\t"
        "bfc r9, #0, #16\n"
        "8:\n\t"
        "str r12, [sp, #44]\n\t"
        "ldr r3, [sp, #24]\n\t"
        "ldr r0, [sp, #4]\n\t"
        "ldr lr, [sp, #12]\n\t"
        "ldr r11, [sp, #40]\n\t"
        "mov r2, r1\n\t"
        "mov r4, r1\n\t"
        "ldr r1, [sp, #8]\n\t"
        "cbnz r3, 2f\n\t"
        "mcugen_rows\n"
        "2:\n\t"
        "smlad r12, r2, r5, r12\n\t"
        "smlabb r12, r4, r8, r12\n\t"
        "ldr r2, [sp, #48]\n\t"
        "ldr r3, [sp, #52]\n\t"
        "cmp r0, r2\n\t"
        "beq.w 4f\n\t"
        "bx r3\n\t"
        ".balign 4\n"
        "3:\n\t" /* 84 bytes of code an output */
        ".rept 4\n\t"
        "mcugen_rows\n\t"
        "smlad r12, r2, r6, r12\n\t"
        "smlabt r12, r4, r8, r12\n\t"
        "mcugen_rows\n\t"
        "smlad r12, r2, r7, r12\n\t"
        "smlabb r12, r4, r9, r12\n\t"
        "mcugen_store\n\t"
        "ldr.w r12, [sp, #44]\n\t"
        "uxtah lr, lr, r9, ror #16\n\t"
        "smlad r12, r2, r5, r12\n\t"
        "smlabb r12, r4, r8, r12\n\t"
        ".endr\n\t"
        "ldr r2, [sp, #48]\n\t"
        "cmp r0, r2\n\t"
        "bne.w 3b\n"
        "4:\n\t"
        "ldr r3, [sp, #28]\n\t"
        "cbz r3, 9f\n\t"
        "mcugen_rows\n\t"
        "smlad r12, r2, r6, r12\n\t"
        "smlabt r12, r4, r8, r12\n\t"
        "ldr r2, [sp, #36]\n\t"
        "smlad r12, r2, r7, r12\n\t"
        "smlabb r12, r2, r9, r12\n\t"
        "mcugen_store\n"
        "9:\n\t"
        "ldr r0, [sp, #4]\n\t"
        "ldr r2, [sp, #12]\n\t"
        "ldr r3, [sp, #16]\n\t"
        "ldr r4, [sp, #48]\n\t"
        "add r0, r0, #1\n\t"
        "add r2, r2, #1\n\t"
        "add r4, r4, #1\n\t"
        "str r0, [sp, #4]\n\t"
        "str r2, [sp, #12]\n\t"
        "str r4, [sp, #48]\n\t"
        "subs r3, r3, #1\n\t"
        "str r3, [sp, #16]\n\t"
        "bne.w 1b\n\t"
        "add sp, sp, #60\n\t"
        "pop {r4-r11, lr}\n\t"
        ".purgem mcugen_rows\n\t"
        ".purgem mcugen_store\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly: the same outputs. */
MCUGEN_SHARED void mcugen_depthwise_line_s8_dsp(const struct mcugen_depthwise_line_s8_dsp *line)
{
    static const uint8_t place[9] = {0, 1, 4, 2, 3, 6, 5, 7, 8};
    static const int8_t row_of[3][3] = {{0, 1, 2}, {-1, 0, 1}, {1, 0, -1}};
    const int32_t count = line->outputs + line->right;
    for (int32_t c = 0; c < line->channels; ++c) {
        const uint32_t *record = line->weights + (ptrdiff_t)5 * c;
        for (int32_t x = 0; x < count; ++x) {
            int32_t acc = (int32_t)record[3];
            for (int32_t tap = 0; tap < 9; ++tap) {
                const uint32_t byte = record[place[tap] >> 2] >> (8 * (place[tap] & 3));
                const int32_t row = row_of[line->rows][tap / 3];
                const int32_t column = 2 * x + tap % 3 - line->left;
                const bool beside = row < 0 || column < 0 || (line->right && x == count - 1 && tap % 3 == 2);
                const int32_t value =
                    beside ? line->in_zero_point : line->in[(ptrdiff_t)row * line->row_step + column * line->channels + c];
                const int32_t scale = (int32_t)((uint32_t)1 << ((record[2] >> 8) & 255u));
                acc = mcugen_wrap_add(acc, (int32_t)(int8_t)(uint8_t)byte * scale * value, 0);
            }
            const int32_t scaled = mcugen_smmlar(acc, (int32_t)record[4], line->out_zero_point);
            line->out[(ptrdiff_t)x * line->channels + c] = (int8_t)mcugen_ssat8(scaled);
        }
    }
}

#endif

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_stride2_s8_dsp(
    const struct mcugen_depthwise_conv2d_3x3_stride2_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t row = p->in_w * p->channels;
    const int32_t right = 2 * p->out_w - p->pad_left + 1 > p->in_w ? 1 : 0;
    struct mcugen_depthwise_line_s8_dsp line = {
        .weights = p->weights,
        .out = out,
        .channels = p->channels,
        .outputs = p->out_w - right,
        .left = p->pad_left,
        .right = right,
        .in_zero_point = p->in_zero_point,
        .out_zero_point = p->out_zero_point,
    };
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        const int32_t y = 2 * oy - p->pad_top;
        line.rows = y < 0 ? 1 : (y + 3 > p->in_h ? 2 : 0);
        line.in = in + (ptrdiff_t)(y < 0 || line.rows == 2 ? y + 1 : y) * row;
        line.row_step = line.rows == 2 ? -row : row;
        mcugen_depthwise_line_s8_dsp(&line);
        line.out += p->out_w * p->channels;
    }
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_STRIDE2_S8_DSP_H */
