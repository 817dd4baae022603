/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, channels-last, with weights of 4 bits: plain C for every core. */
#ifndef MCUGEN_CONV2D_S8_W4_H
#define MCUGEN_CONV2D_S8_W4_H

#include "fixed_point.h"

/* Inputs of an output channel that share a factor. */
#define MCUGEN_W4_GROUP 32

/* As struct mcugen_conv2d_s8; a weight is table[code], its code half a byte of `codes`, the lower half first, through all
 * channels without a gap.  table may be null: a code c is 0 where c & 7 is, else the power of two (c & 7) - 1, negative where c & 8
 * is set, and its product a shift.  factors may be null; else the weight is table[code] times the factor of its group, those of a
 * channel on end.  A depthwise convolution has as many groups as input channels, a fully connected layer is 1x1. */
struct mcugen_conv2d_s8_w4 {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t groups;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint8_t *codes;
    const int8_t *table;
    const uint8_t *factors;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* acc + value times the weight of a code */
static MCUGEN_INLINE int32_t mcugen_product_s8_w4(int32_t value, uint32_t code, const int8_t *table, int32_t acc)
{
    if (table) {
        return acc + value * (int32_t)table[code];
    }
    if ((code & 7u) == 0) {
        return acc;
    }
    const int32_t shifted = (int32_t)((uint32_t)value << ((code & 7u) - 1u));
    return (code & 8u) ? acc - shifted : acc + shifted;
}

/* acc + the sum of `count` weights from number `first` on times in[0], in[step], ...; step is 1 or 0 */
static MCUGEN_INLINE int32_t mcugen_dot_s8_w4(const int8_t *in, int32_t step, const uint8_t *codes, int32_t first,
                                              int32_t count, const int8_t *table, int32_t acc)
{
    const uint8_t *code = codes + (first >> 1);
    if ((first & 1) && count > 0) {
        acc = mcugen_product_s8_w4(*in, (uint32_t)*code++ >> 4, table, acc);
        in += step;
        --count;
    }
    for (; count > 1; count -= 2) {
        const uint32_t two = *code++;
        acc = mcugen_product_s8_w4(in[0], two & 15u, table, acc);
        acc = mcugen_product_s8_w4(in[step], two >> 4, table, acc);
        in += 2 * step;
    }
    if (count > 0) {
        acc = mcugen_product_s8_w4(*in, *code & 15u, table, acc);
    }
    return acc;
}

/* The same for weight number `k` and on of output channel `channel`, which has `taps` weights, with factors if there are. */
static MCUGEN_INLINE int32_t mcugen_run_s8_w4(const struct mcugen_conv2d_s8_w4 *p, const int8_t *in, int32_t step,
                                              int32_t channel, int32_t taps, int32_t k, int32_t count, int32_t acc)
{
    if (!p->factors) {
        return mcugen_dot_s8_w4(in, step, p->codes, channel * taps + k, count, p->table, acc);
    }
    const uint8_t *factor = p->factors + (ptrdiff_t)channel * ((taps + MCUGEN_W4_GROUP - 1) / MCUGEN_W4_GROUP);
    while (count > 0) {
        const int32_t left = MCUGEN_W4_GROUP - k % MCUGEN_W4_GROUP;
        const int32_t now = left < count ? left : count;
        acc += (int32_t)factor[k / MCUGEN_W4_GROUP] *
               mcugen_dot_s8_w4(in, step, p->codes, channel * taps + k, now, p->table, 0);
        in += now * step;
        k += now;
        count -= now;
    }
    return acc;
}

/* One output value: the window whose first tap lies at (y, x), for the channels in[0 .. depth). */
static MCUGEN_INLINE int32_t mcugen_conv2d_window_s8_w4(const struct mcugen_conv2d_s8_w4 *p, const int8_t *in,
                                                        int32_t channel, int32_t y, int32_t x, int32_t acc)
{
    const int32_t depth = p->in_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * depth;
    const int8_t zero = (int8_t)p->in_zero_point;
    const bool whole = p->dilation_w == 1 && p->groups == 1 && x >= 0 && x + p->kernel_w <= p->in_w;
    int32_t k = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        const bool inside = y >= 0 && y < p->in_h;
        const int8_t *row = inside ? in + (ptrdiff_t)y * p->in_w * p->in_c : in;
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const int32_t column = x + kx * p->dilation_w;
            const bool read = inside && column >= 0 && column < p->in_w;
            const int32_t count = whole ? p->kernel_w * depth : depth;
            acc = mcugen_run_s8_w4(p, read ? row + (ptrdiff_t)column * p->in_c : &zero, read ? 1 : 0, channel, taps, k,
                                   count, acc);
            k += count;
            if (whole) {
                break;
            }
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_conv2d_s8_w4(const struct mcugen_conv2d_s8_w4 *p, const int8_t *in, int8_t *out,
                                              void *scratch)
{
    (void)scratch;
    const int32_t depth = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t x = ox * p->stride_w - p->pad_left;
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int8_t *from = in + (ptrdiff_t)(oc / group_out) * depth;
                const int32_t acc = mcugen_conv2d_window_s8_w4(p, from, oc, y, x, p->bias[oc]);
                *out++ = mcugen_requantize_s8(acc, p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                              p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_CONV2D_S8_W4_H */
