/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, channels-last, any kernel, stride, dilation, padding and groups: plain C for every core. */
#ifndef MCUGEN_CONV2D_S8_H
#define MCUGEN_CONV2D_S8_H

#include "fixed_point.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c], weights [out_c][kernel_h][kernel_w][in_c / groups].
 * bias has the input zero point folded in, so a padded tap reads in_zero_point.  shift may be null: all zero. */
struct mcugen_conv2d_s8 {
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

/* sum of weights[k] * in[k] */
static MCUGEN_INLINE int32_t mcugen_dot_s8(const int8_t *in, const int8_t *weights, int32_t count, int32_t acc)
{
    for (int32_t k = 0; k < count; ++k) {
        acc += (int32_t)in[k] * (int32_t)weights[k];
    }
    return acc;
}

/* sum of weights[k] * value: the taps that fall on padding */
static MCUGEN_INLINE int32_t mcugen_dot_constant_s8(int32_t value, const int8_t *weights, int32_t count, int32_t acc)
{
    for (int32_t k = 0; k < count; ++k) {
        acc += value * (int32_t)weights[k];
    }
    return acc;
}

/* One output value: the window whose first tap lies at (y, x), for the channels in[first .. first + depth). */
static MCUGEN_INLINE int32_t mcugen_conv2d_window_s8(const struct mcugen_conv2d_s8 *p, const int8_t *in,
                                                     const int8_t *weights, int32_t y, int32_t x, int32_t depth,
                                                     int32_t acc)
{
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        if (y < 0 || y >= p->in_h) {
            acc = mcugen_dot_constant_s8(p->in_zero_point, weights, p->kernel_w * depth, acc);
            weights += p->kernel_w * depth;
            continue;
        }
        const int8_t *row = in + (ptrdiff_t)y * p->in_w * p->in_c;
        if (p->dilation_w == 1 && p->groups == 1 && x >= 0 && x + p->kernel_w <= p->in_w) {
            acc = mcugen_dot_s8(row + (ptrdiff_t)x * p->in_c, weights, p->kernel_w * depth, acc);
            weights += p->kernel_w * depth;
            continue;
        }
        for (int32_t kx = 0; kx < p->kernel_w; ++kx, weights += depth) {
            const int32_t column = x + kx * p->dilation_w;
            if (column >= 0 && column < p->in_w) {
                acc = mcugen_dot_s8(row + (ptrdiff_t)column * p->in_c, weights, depth, acc);
            } else {
                acc = mcugen_dot_constant_s8(p->in_zero_point, weights, depth, acc);
            }
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_conv2d_s8(const struct mcugen_conv2d_s8 *p, const int8_t *in, int8_t *out,
                                           void *scratch)
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
                const int8_t *from = in + (p->groups == 1 ? 0 : (ptrdiff_t)(oc / group_out) * depth);
                const int8_t *weights = p->weights + (ptrdiff_t)oc * taps;
                const int32_t acc = mcugen_conv2d_window_s8(p, from, weights, y, x, depth, p->bias[oc]);
                *out++ = mcugen_requantize_s8(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                              p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_CONV2D_S8_H */
