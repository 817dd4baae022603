/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with weights of 4 bits that reads or writes int16, any kernel, stride, dilation and padding, for cores with the DSP
 * instructions: 2 channels of 2 pixels at a time. */
#ifndef MCUGEN_CONV2D_INT4_S16_DSP_H
#define MCUGEN_CONV2D_INT4_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "codes_s16_dsp.h"
#include "matmul_int4_s16_dsp.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c], stored as `store` says; out_c even.  Weights: the stream
 * of matmul_int4_s16_dsp.h, inputs in the order [kernel_h][kernel_w][in_c].  int8 inputs count 2^in_shift times.  Padded taps read
 * in_zero_point, of int16 0.  Scratch: 8 + 32 * steps bytes, steps = ceil(kernel_h * kernel_w * in_c / 8); and 8 * steps * in_bytes
 * more where `staged`: kernel_w * in_c elements are no whole words, taps are apart in a row, or something is padded. */
struct mcugen_conv2d_int4_s16_dsp {
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
    int32_t staged;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_conv2d_int4_s16_dsp(const struct mcugen_conv2d_int4_s16_dsp *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    const int32_t steps = (p->kernel_h * p->kernel_w * p->in_c + 7) >> 3;
    uint32_t *sums = (uint32_t *)scratch;
    uint32_t *column = sums + 2;
    const struct mcugen_columns_s16_dsp c = {
        .window = {
            .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c * p->in_bytes, .kernel_h = p->kernel_h,
            .kernel_w = p->kernel_w, .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
            .zero_point = p->in_zero_point, .row_bytes = p->kernel_w * p->in_c * p->in_bytes,
        },
        .in = in, .staged = (int8_t *)(column + 8 * steps), .in_bytes = p->in_bytes, .shift = p->in_shift, .steps = steps,
    };
    struct mcugen_matmul_int4_s16_dsp m = {
        .weights = p->weights,
        .weights_end = p->weights + p->out_c * (steps + 2),
        .column = sums,
        .out = out,
        .out_stride = p->out_c * (p->store == MCUGEN_STORE_S8 ? 1 : 2),
        .steps = steps,
        .zero_point = p->out_zero_point,
        .store = p->store,
    };
    int32_t second = 0;
    sums[1] = 0;
    mcugen_columns_begin(&c, column, p->staged != 0);
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            sums[second] = 8u * (uint32_t)mcugen_columns_fill(&c, y, ox * p->stride_w - p->pad_left, column + second);
            if (second) {
                mcugen_matmul_int4_s16_dsp(&m);
                m.out += 2 * m.out_stride;
            }
            second ^= 1;
        }
    }
    if (second) {
        m.out_stride = 0;
        mcugen_matmul_int4_s16_dsp(&m);
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->out_c, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_CONV2D_INT4_S16_DSP_H */
