/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, any kernel, stride and channel multiplier, columns not dilated, for cores without packed
 * arithmetic; conditions on the weights in depthwise_rows_s8_scalar.h. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S8_SCALAR_H
#define MCUGEN_DEPTHWISE_CONV2D_S8_SCALAR_H

#include <stdint.h>

#include "clamp_s8.h"
#include "depthwise_rows_s8_scalar.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c]; output channel c reads input channel c / channel_multiplier.
 * Padded taps read in_zero_point.  `channels` holds for every output channel {int32 bias, uint32 m, int8 weights[4 * n]}
 * with the weights of all taps in the order [kernel_w][kernel_h], filled up with zeros to a multiple of 4.
 * Scratch: 4 bytes for each of the taps, rounded up to an even number, and for each of columns * kernel_h + 1 taps of
 * the columns = (out_w - 1) * stride_w + kernel_w. */
struct mcugen_depthwise_conv2d_s8_scalar {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h;
    int32_t pad_top, pad_left;
    int32_t channel_multiplier;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *channels;
};

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s8_scalar(const struct mcugen_depthwise_conv2d_s8_scalar *p,
                                                            const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t taps = p->kernel_h * p->kernel_w;
    const int32_t pairs = (taps + 1) >> 1;
    const int32_t words = (taps + 3) >> 2;
    const int32_t row = p->out_w * p->out_c;
    int32_t *weights = (int32_t *)scratch;
    uint32_t *strip = (uint32_t *)scratch + 2 * pairs;
    const struct mcugen_strip_s8_scalar s = {
        p->in_h, p->in_w, p->in_c, p->kernel_h, p->stride_h, p->dilation_h, p->pad_left,
        (p->out_w - 1) * p->stride_w + p->kernel_w, p->in_zero_point,
    };
    struct mcugen_depthwise_rows_s8_scalar m = {
        strip, 4 * p->stride_w * p->kernel_h, weights, weights + 2 * pairs, 0, 0,
        mcugen_scalar_rounding(p->out_zero_point), out, out, p->out_c, row,
        (MCUGEN_DEPTHWISE_UNROLL - pairs % MCUGEN_DEPTHWISE_UNROLL) % MCUGEN_DEPTHWISE_UNROLL,
    };
    int32_t y = -p->pad_top;
    strip[s.columns * p->kernel_h] = 0;
    for (int32_t oy = 0; oy < p->out_h; oy += 2) {
        const uint32_t *channel = p->channels;
        const int8_t *from = in;
        int32_t repeat = 0;
        m.out = out + oy * row;
        m.out_end = m.out + row;
        m.out_stride = oy + 1 < p->out_h ? row : 0;
        for (int32_t c = p->out_c; c > 0; --c) {
            if (repeat == 0) {
                mcugen_strip_s8_scalar(&s, from++, y, strip);
                repeat = p->channel_multiplier;
            }
            --repeat;
            m.bias = (int32_t)channel[0];
            m.multiplier = channel[1];
            const int8_t *packed = (const int8_t *)(channel + 2);
            for (int32_t i = 0; i < 2 * pairs; ++i) {
                weights[i] = packed[i];
            }
            channel += 2 + words;
            mcugen_depthwise_rows_s8_scalar(&m);
            ++m.out;
            ++m.out_end;
        }
        y += 2 * p->stride_h;
    }
    mcugen_clamp_s8(out, p->out_h * row, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S8_SCALAR_H */
