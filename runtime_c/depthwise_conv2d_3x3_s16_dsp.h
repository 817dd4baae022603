/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise 3x3 convolution with int8 weights over int16, channels-last, columns 1 or 2 apart, at most one column padded on each side,
 * for cores with the DSP instructions: 2 channels of 2 pixels at a time. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_S16_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_S16_DSP_H

#include "depthwise_conv2d_s16_dsp.h"
#include "depthwise_pair_s16_dsp.h"

/* As mcugen_depthwise_conv2d_s16_dsp; channels even, in int16, dilation 1, stride_w 1 or 2, out_w at least 2. */
struct mcugen_depthwise_conv2d_3x3_s16_dsp {
    int32_t store;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_s16_dsp(const struct mcugen_depthwise_conv2d_3x3_s16_dsp *p,
                                                              const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const struct mcugen_depthwise_conv2d_s16_dsp edge = {
        .in_bytes = 2, .store = p->store, .in_h = p->in_h, .in_w = p->in_w, .channels = p->channels,
        .out_h = p->out_h, .out_w = p->out_w, .kernel_h = 3, .kernel_w = 3, .stride_h = p->stride_h,
        .stride_w = p->stride_w, .dilation_h = 1, .dilation_w = 1, .pad_top = p->pad_top, .pad_left = p->pad_left,
        .in_zero_point = 0, .out_zero_point = p->out_zero_point, .act_min = p->act_min, .act_max = p->act_max,
        .in_shift = 0, .weights = p->weights,
    };
    const int32_t pixel = 2 * p->channels;
    const int32_t out_pixel = p->channels * (p->store == MCUGEN_STORE_S8 ? 1 : 2);
    struct mcugen_depthwise_pair_s16_dsp m = {
        .in = in,
        .pitch = p->in_w * pixel,
        .pixel = pixel,
        .weights = p->weights,
        .weights_end = p->weights + 13 * (p->channels >> 1),
        .out_stride = out_pixel,
        .zero_point = p->out_zero_point,
        .store = p->store,
    };
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        const int32_t y = oy * p->stride_h - p->pad_top;
        int8_t *row = out + (ptrdiff_t)oy * p->out_w * out_pixel;
        if (y < 0 || y + 3 > p->in_h) {
            mcugen_depthwise_row_s16_dsp(&edge, in, oy, row);
            continue;
        }
        for (int32_t i = 0; i < p->out_w; i += 2) {
            /* The last pixel of an odd number is computed together with the one before it, once more. */
            const int32_t ox = i + 2 > p->out_w ? i - 1 : i;
            const int32_t x = ox * p->stride_w - p->pad_left;
            const int32_t missing = x < 0 ? MCUGEN_PAIR_NO_FIRST
                                          : (x + p->stride_w + 3 > p->in_w ? MCUGEN_PAIR_NO_LAST : MCUGEN_PAIR_WHOLE);
            m.form = missing + (p->stride_w == 2 ? 3 : 0);
            m.offset = (y * p->in_w + x) * pixel;
            m.out = row + (ptrdiff_t)ox * out_pixel;
            mcugen_depthwise_pair_s16_dsp(&m);
        }
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->channels, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_S16_DSP_H */
