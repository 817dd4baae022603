/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation, padding, weights and requantization, for cores with the DSP
 * instructions: 2 channels of 2 pixels at a time.  Slower than conv2d_s8_dsp.h, with little scratch and no condition on
 * the integers. */
#ifndef MCUGEN_CONV2D_PLAIN_S8_DSP_H
#define MCUGEN_CONV2D_PLAIN_S8_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s8.h"
#include "matmul_plain_s8_dsp.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c].  Weights: the stream of matmul_plain_s8_dsp.h, out_c / 2 blocks of
 * 2 channels and out_c % 2 of 1, inputs in the order [kernel_h][kernel_w][in_c].  Padded taps read in_zero_point.
 * Scratch: 2 * kernel_h * kernel_w * in_c bytes, each half rounded up to 4; none where kernel_h is 1, the taps of a row
 * are adjacent and nothing is padded.  Up to 3 bytes behind the input are read where kernel_h is 1. */
struct mcugen_conv2d_plain_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_plain_s8_dsp(const struct mcugen_conv2d_plain_s8_dsp *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t steps = (p->kernel_h * run + 3) >> 2;
    int8_t *bytes = (int8_t *)scratch;
    struct mcugen_matmul_plain_s8_dsp m = {
        .weights = p->weights,
        .weights_end2 = p->weights + (p->out_c & ~1) * (steps + 3),
        .weights_end = p->weights + p->out_c * (steps + 3),
        .out = out,
        .out_stride = p->out_c,
        .steps = steps,
        .zero_point = p->out_zero_point,
    };
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
    };
    const int32_t y_last = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    const int32_t x_last = p->in_w - 1 - (p->kernel_w - 1) * p->dilation_w;
    const int32_t pitch = p->in_w * p->in_c;
    bool second = false;
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        const bool row_inside = y >= 0 && y <= y_last && p->dilation_w == 1;
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            int8_t *to = second ? bytes + 4 * steps : bytes;
            const int8_t *from = to;
            if (row_inside && x >= 0 && x <= x_last) {
                const int8_t *row = in + y * pitch + x * p->in_c;
                if (p->kernel_h == 1) {
                    from = row;
                } else {
                    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
                        to = mcugen_copy_s8(to, row, run);
                        row += p->dilation_h * pitch;
                    }
                }
            } else {
                mcugen_window_s8(&w, in, y, x, to);
            }
            if (second) {
                m.q = from;
                mcugen_matmul_plain_s8_dsp(&m);
                m.out += 2 * p->out_c;
            } else {
                m.p = from;
            }
            second = !second;
        }
    }
    if (second) {
        m.q = m.p;
        m.out_stride = 0;
        mcugen_matmul_plain_s8_dsp(&m);
    }
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_CONV2D_PLAIN_S8_DSP_H */
