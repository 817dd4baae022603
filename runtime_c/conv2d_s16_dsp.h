/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with int8 weights that reads or writes int16, channels-last, any kernel, stride, dilation and padding, for cores
 * with the DSP instructions: 3 (or 2) channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_S16_DSP_H
#define MCUGEN_CONV2D_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s16.h"
#include "matmul_s16_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c], stored as `store` says.  Weights: the stream of
 * matmul_s16_dsp.h, blocks3 blocks of 3 channels and the rest of 2, inputs in the order [kernel_h][kernel_w][in_c], in groups of
 * four; of int8 the inputs 1 and 2 of a group change places.  int8 inputs count 2^in_shift times.  Padded taps read
 * in_zero_point.  Scratch: `batch` columns of 16 bytes for every group of four inputs, and where in_c is no multiple of 4 one window,
 * its size rounded up to groups of four; none where kernel_w * in_c is such a multiple and all windows lie in the image. */
struct mcugen_conv2d_s16_dsp {
    int32_t in_bytes, store;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t in_shift;
    int32_t blocks3;
    int32_t batch;
    const uint32_t *weights;
};

#if MCUGEN_HAVE_DSP

/* Inputs into one pixel's half of a column of pairs: `groups` of four of each of `rows` rows, which begin `pitch` bytes apart.  All at
 * least 1.  r0 in, r1 pitch, r2 column, r3 groups, r4 from, r5-r8 words, r9 groups left, r12 rows left. */
MCUGEN_SHARED void mcugen_column_s16_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t groups, int32_t rows)
{
    register const int8_t *r0 __asm__("r0") = in;
    register int32_t r1 __asm__("r1") = pitch;
    register uint32_t *r2 __asm__("r2") = column;
    register int32_t r3 __asm__("r3") = groups;
    register int32_t r12 __asm__("r12") = rows;
    __asm__ volatile(
        "push {r4-r10}\n\t"
        "cmp r3, #1\n\t"
        "bne.n 2f\n"
        "1:\n\t"
        "ldr r6, [r0, #4]\n\t"
        "ldr r5, [r0]\n\t"
        "add r0, r0, r1\n\t"
        "str r6, [r2, #4]\n\t"
        "str r5, [r2], #16\n\t"
        "subs r12, r12, #1\n\t"
        "bne.n 1b\n\t"
        "b.n 6f\n"
        "2:\n\t"
        "mov r4, r0\n\t"
        "add r0, r0, r1\n\t"
        "lsrs r9, r3, #1\n\t"
        "bcc.n 3f\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r5, [r4], #8\n\t"
        "str r6, [r2, #4]\n\t"
        "str r5, [r2], #16\n"
        "3:\n\t"
        "lsrs r9, r9, #1\n\t"
        "bcc.n 4f\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r7, [r4, #8]\n\t"
        "ldr r8, [r4, #12]\n\t"
        "ldr r5, [r4], #16\n\t"
        "str r6, [r2, #4]\n\t"
        "str r7, [r2, #16]\n\t"
        "str r8, [r2, #20]\n\t"
        "str r5, [r2], #32\n"
        "4:\n\t"
        "cmp r9, #0\n\t"
        "beq.n 5f\n"
        "7:\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r7, [r4, #8]\n\t"
        "ldr r8, [r4, #12]\n\t"
        "ldr r5, [r4], #16\n\t"
        "str r6, [r2, #4]\n\t"
        "str r7, [r2, #16]\n\t"
        "str r8, [r2, #20]\n\t"
        "str r5, [r2], #32\n\t"
        "ldr r6, [r4, #4]\n\t"
        "ldr r7, [r4, #8]\n\t"
        "ldr r8, [r4, #12]\n\t"
        "ldr r5, [r4], #16\n\t"
        "str r6, [r2, #4]\n\t"
        "str r7, [r2, #16]\n\t"
        "str r8, [r2, #20]\n\t"
        "str r5, [r2], #32\n\t"
        "subs r9, r9, #1\n\t"
        "bne.n 7b\n"
        "5:\n\t"
        "subs r12, r12, #1\n\t"
        "bne.n 2b\n"
        "6:\n\t"
        "pop {r4-r10}\n\t"
        : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r12)
        :
        : "cc", "memory");
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED void mcugen_column_s16_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t groups, int32_t rows)
{
    for (; rows > 0; --rows) {
        for (int32_t i = 0; i < groups; ++i, column += 4) {
            column[0] = mcugen_load32(in + 8 * i);
            column[1] = mcugen_load32(in + 8 * i + 4);
        }
        in += pitch;
    }
}

#endif

/* The same from int8, as bytes 0 and 2, and 1 and 3. */
static MCUGEN_INLINE void mcugen_column_s8_s16_dsp(const int8_t *in, int32_t pitch, uint32_t *column, int32_t groups,
                                                   int32_t rows, int32_t shift)
{
    for (; rows > 0; --rows) {
        for (int32_t i = 0; i < groups; ++i) {
            const uint32_t a = mcugen_load32(in + 4 * i);
            column[0] = mcugen_shift_pair(mcugen_sxtb16(a), shift);
            column[1] = mcugen_shift_pair(mcugen_sxtb16_ror8(a), shift);
            column += 4;
        }
        in += pitch;
    }
}

static MCUGEN_INLINE void mcugen_fill_column_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, const int8_t *in,
                                                     int32_t pitch, uint32_t *column, int32_t groups, int32_t rows)
{
    if (p->in_bytes == 2) {
        mcugen_column_s16_dsp(in, pitch, column, groups, rows);
    } else {
        mcugen_column_s8_s16_dsp(in, pitch, column, groups, rows, p->in_shift);
    }
}

/* Padded taps: `groups` of four; returns the word behind them. */
static MCUGEN_INLINE uint32_t *mcugen_pad_column_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, uint32_t *column,
                                                         int32_t groups)
{
    const uint32_t zero = (uint32_t)(uint16_t)p->in_zero_point * 0x10001u;
    const uint32_t pair = mcugen_shift_pair(zero, p->in_shift);
    for (; groups > 0; --groups, column += 4) {
        column[0] = pair;
        column[1] = pair;
    }
    return column;
}

/* The window at (y, x), part of which lies beside the image; in_c a multiple of 4. */
static MCUGEN_INLINE void mcugen_edge_column_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, const int8_t *in, int32_t y,
                                                     int32_t x, uint32_t *column)
{
    const int32_t tap = p->in_c >> 2;
    const int32_t taps = p->dilation_w == 1 ? p->kernel_w : 1;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        for (int32_t kx = 0; kx < p->kernel_w; kx += taps) {
            const int32_t first = x + kx * p->dilation_w;
            struct mcugen_span s = mcugen_row_span(first, taps, p->in_w);
            if (y < 0 || y >= p->in_h) {
                s.left = s.right = taps;
            }
            column = mcugen_pad_column_s16_dsp(p, column, tap * s.left);
            if (s.right > s.left) {
                const int32_t groups = tap * (s.right - s.left);
                const ptrdiff_t from = ((ptrdiff_t)y * p->in_w + first + s.left) * p->in_c * p->in_bytes;
                mcugen_fill_column_s16_dsp(p, in + from, 0, column, groups, 1);
                column += 4 * groups;
            }
            column = mcugen_pad_column_s16_dsp(p, column, tap * (taps - s.right));
        }
    }
}

static MCUGEN_INLINE void mcugen_conv2d_s16_dsp(const struct mcugen_conv2d_s16_dsp *p, const int8_t *in, int8_t *out,
                                                void *scratch)
{
    const int32_t pixel = p->in_c * p->in_bytes;
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t steps = (p->kernel_h * run + 3) >> 2;
    const int32_t out_bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    uint32_t *columns = (uint32_t *)scratch;
    int8_t *staged = (int8_t *)(columns + 4 * steps * p->batch);
    struct mcugen_matmul_s16_dsp m = {
        .weights = p->weights,
        .weights_end3 = p->weights + 3 * p->blocks3 * (steps + 2),
        .weights_end = p->weights + p->out_c * (steps + 2),
        .column = columns,
        .out = out,
        .out_stride = p->out_c * out_bytes,
        .steps = steps,
        .zero_point = p->out_zero_point,
        .store = p->store,
    };
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = pixel, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point,
        .row_bytes = run * p->in_bytes,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * pixel;
    int32_t filled = 0;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1 && (run & 3) == 0;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            uint32_t *column = columns + (filled >> 1) * 4 * steps + (filled & 1) * 2;
            if (row_inside && x >= 0 && x <= x_last) {
                const int8_t *from = in + ((ptrdiff_t)y * p->in_w + x) * pixel;
                mcugen_fill_column_s16_dsp(p, from, p->dilation_h * pitch, column, run >> 2, p->kernel_h);
            } else if ((p->in_c & 3) == 0) {
                mcugen_edge_column_s16_dsp(p, in, y, x, column);
            } else {
                mcugen_window_s8(&w, in, y, x, staged);
                mcugen_fill_column_s16_dsp(p, staged, 0, column, steps, 1);
            }
            if (++filled == 2 * p->batch) {
                m.pairs = p->batch;
                mcugen_matmul_s16_dsp(&m);
                m.out += 2 * p->batch * m.out_stride;
                filled = 0;
            }
        }
    }
    if (filled > 1) {
        m.pairs = filled >> 1;
        mcugen_matmul_s16_dsp(&m);
        m.out += 2 * m.pairs * m.out_stride;
    }
    if (filled & 1) {
        m.column += (filled >> 1) * 4 * steps;
        m.pairs = 1;
        m.out_stride = 0;
        mcugen_matmul_s16_dsp(&m);
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_CONV2D_S16_DSP_H */
