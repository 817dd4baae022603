/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, channels-last, any kernel, stride, dilation, padding and multiplier: plain C for every core. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S8_H
#define MCUGEN_DEPTHWISE_CONV2D_S8_H

#include "fixed_point.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], weights [out_c][kernel_h][kernel_w]; output channel c reads input channel
 * c / channel_multiplier.  bias has the input zero point folded in, so a padded tap reads in_zero_point.
 * shift may be null: all zero. */
struct mcugen_depthwise_conv2d_s8 {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t channel_multiplier;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* One output value: the window whose first tap lies at (y, x) of one channel. */
static MCUGEN_INLINE int32_t mcugen_depthwise_window_s8(const struct mcugen_depthwise_conv2d_s8 *p, const int8_t *in,
                                                        const int8_t *weights, int32_t y, int32_t x, int32_t acc)
{
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        const int32_t row = y + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const int32_t column = x + kx * p->dilation_w;
            const bool inside = row >= 0 && row < p->in_h && column >= 0 && column < p->in_w;
            const int32_t value = inside ? in[((ptrdiff_t)row * p->in_w + column) * p->in_c] : p->in_zero_point;
            acc += value * (int32_t)*weights++;
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s8(const struct mcugen_depthwise_conv2d_s8 *p, const int8_t *in,
                                                     int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t taps = p->kernel_h * p->kernel_w;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t x = ox * p->stride_w - p->pad_left;
            const int8_t *channel = in;
            int32_t repeat = 0;
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int32_t acc = mcugen_depthwise_window_s8(p, channel, p->weights + (ptrdiff_t)oc * taps, y, x, p->bias[oc]);
                *out++ = mcugen_requantize_s8(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                              p->act_min, p->act_max);
                if (++repeat == p->channel_multiplier) {
                    repeat = 0;
                    ++channel;
                }
            }
        }
    }
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S8_H */
