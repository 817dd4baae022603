/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution with int8 weights that reads or writes int16, channels-last, any shape: plain C for every core. */
#ifndef MCUGEN_CONV2D_S16_H
#define MCUGEN_CONV2D_S16_H

#include "element_s16.h"

/* in [in_h][in_w][in_c] of in_bytes an element, out [out_h][out_w][out_c] of out_bytes, weights [out_c][kernel_h][kernel_w]
 * [in_c / groups].  A depthwise convolution has as many groups as input channels; a fully connected layer is 1x1.
 * bias has the input zero point folded in, so a padded tap reads in_zero_point.  shift may be null: all zero. */
struct mcugen_conv2d_s16 {
    int32_t in_bytes, out_bytes;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t groups;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* One output value: the window whose first tap lies at (y, x), for `depth` channels from channel `first` on. */
static MCUGEN_INLINE int32_t mcugen_conv2d_window_s16(const struct mcugen_conv2d_s16 *p, const int8_t *in,
                                                      const int8_t *weights, int32_t y, int32_t x, int32_t first,
                                                      int32_t acc)
{
    const int32_t depth = p->in_c / p->groups;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        const int32_t row = y + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; ++kx, weights += depth) {
            const int32_t column = x + kx * p->dilation_w;
            if (row >= 0 && row < p->in_h && column >= 0 && column < p->in_w) {
                const ptrdiff_t from = ((ptrdiff_t)row * p->in_w + column) * p->in_c + first;
                for (int32_t k = 0; k < depth; ++k) {
                    acc += mcugen_element(in, from + k, p->in_bytes) * (int32_t)weights[k];
                }
            } else {
                for (int32_t k = 0; k < depth; ++k) {
                    acc += p->in_zero_point * (int32_t)weights[k];
                }
            }
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_conv2d_s16(const struct mcugen_conv2d_s16 *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    (void)scratch;
    const int32_t depth = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * depth;
    ptrdiff_t o = 0;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t x = ox * p->stride_w - p->pad_left;
            int32_t first = 0;
            int32_t left = group_out;
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int8_t *weights = p->weights + (ptrdiff_t)oc * taps;
                const int32_t acc = mcugen_conv2d_window_s16(p, in, weights, y, x, first, p->bias[oc]);
                const int32_t value =
                    mcugen_requantize(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point);
                mcugen_put(out, o++, mcugen_clamp(value, p->act_min, p->act_max), p->out_bytes);
                if (--left == 0) {
                    left = group_out;
                    first += depth;
                }
            }
        }
    }
}

#endif /* MCUGEN_CONV2D_S16_H */
