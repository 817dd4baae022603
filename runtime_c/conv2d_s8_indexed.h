/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, channels-last, whose weights are entries of a table of 256: plain C for every core. */
#ifndef MCUGEN_CONV2D_S8_INDEXED_H
#define MCUGEN_CONV2D_S8_INDEXED_H

#include "fixed_point.h"

/* As struct mcugen_conv2d_s8; a weight is table[index[...]], in [-1023, 1023].
 * A depthwise convolution has as many groups as input channels, a fully connected layer is 1x1.  shift may be null: all zero. */
struct mcugen_conv2d_s8_indexed {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t groups;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint8_t *index;
    const int16_t *table;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* One output value: the window whose first tap lies at (y, x), for the channels in[0 .. depth). */
static MCUGEN_INLINE int32_t mcugen_conv2d_window_s8_indexed(const struct mcugen_conv2d_s8_indexed *p, const int8_t *in,
                                                            const uint8_t *index, int32_t y, int32_t x,
                                                            int32_t acc)
{
    const int32_t depth = p->in_c / p->groups;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        const int32_t row = y + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const int32_t column = x + kx * p->dilation_w;
            const bool inside = row >= 0 && row < p->in_h && column >= 0 && column < p->in_w;
            const int8_t *tap = inside ? in + ((ptrdiff_t)row * p->in_w + column) * p->in_c : in;
            for (int32_t k = 0; k < depth; ++k) {
                const int32_t value = inside ? tap[k] : p->in_zero_point;
                acc += value * (int32_t)p->table[*index++];
            }
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_conv2d_s8_indexed(const struct mcugen_conv2d_s8_indexed *p, const int8_t *in,
                                                  int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t depth = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * depth;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t x = ox * p->stride_w - p->pad_left;
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int8_t *from = in + (ptrdiff_t)(oc / group_out) * depth;
                const uint8_t *index = p->index + (ptrdiff_t)oc * taps;
                const int32_t acc =
                    mcugen_conv2d_window_s8_indexed(p, from, index, y, x, p->bias[oc]);
                *out++ = mcugen_requantize_s8(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                              p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_CONV2D_S8_INDEXED_H */
