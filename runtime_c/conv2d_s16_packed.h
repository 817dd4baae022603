/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution that reads or writes int16, channels-last, any shape, whose weights are codes into a table: plain C for every core. */
#ifndef MCUGEN_CONV2D_S16_PACKED_H
#define MCUGEN_CONV2D_S16_PACKED_H

#include "element_s16.h"

/* Inputs of an output channel that share a factor. */
#define MCUGEN_PACKED_GROUP 32

/* As struct mcugen_conv2d_s16; a weight is table[code], its code `bits` (4 or 8) of `codes`, of 4 the lower half of a byte first,
 * through all channels without a gap.  factors may be null; else the weight is table[code] times the factor of its group, those of
 * a channel on end.  int16 inputs have the zero point 0. */
struct mcugen_conv2d_s16_packed {
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
    int32_t bits;
    const uint8_t *codes;
    const int16_t *table;
    const uint8_t *factors;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

/* acc + the sum of `count` weights from number n on times the elements of `in` from number `from` on; step is 1 or 0 */
static MCUGEN_INLINE int32_t mcugen_dot_s16_packed(const struct mcugen_conv2d_s16_packed *p, const int8_t *in,
                                                   ptrdiff_t from, int32_t step, int32_t n, int32_t count, int32_t acc)
{
    if (p->bits == 8) {
        for (const uint8_t *code = p->codes + n; count > 0; --count, from += step) {
            acc += mcugen_element(in, from, p->in_bytes) * (int32_t)p->table[*code++];
        }
        return acc;
    }
    const uint8_t *code = p->codes + (n >> 1);
    if ((n & 1) && count > 0) {
        acc += mcugen_element(in, from, p->in_bytes) * (int32_t)p->table[*code++ >> 4];
        from += step;
        --count;
    }
    for (; count > 1; count -= 2) {
        const uint32_t two = *code++;
        acc += mcugen_element(in, from, p->in_bytes) * (int32_t)p->table[two & 15u];
        acc += mcugen_element(in, from + step, p->in_bytes) * (int32_t)p->table[two >> 4];
        from += 2 * step;
    }
    if (count > 0) {
        acc += mcugen_element(in, from, p->in_bytes) * (int32_t)p->table[*code & 15u];
    }
    return acc;
}

/* The same for weight number `k` and on of output channel `channel`, which has `taps` weights, with factors if there are. */
static MCUGEN_INLINE int32_t mcugen_run_s16_packed(const struct mcugen_conv2d_s16_packed *p, const int8_t *in,
                                                   ptrdiff_t from, int32_t step, int32_t channel, int32_t taps, int32_t k,
                                                   int32_t count, int32_t acc)
{
    const int32_t first = channel * taps;
    if (!p->factors) {
        return mcugen_dot_s16_packed(p, in, from, step, first + k, count, acc);
    }
    const uint8_t *factor = p->factors + (ptrdiff_t)channel * ((taps + MCUGEN_PACKED_GROUP - 1) / MCUGEN_PACKED_GROUP);
    while (count > 0) {
        const int32_t left = MCUGEN_PACKED_GROUP - k % MCUGEN_PACKED_GROUP;
        const int32_t now = left < count ? left : count;
        acc += (int32_t)factor[k / MCUGEN_PACKED_GROUP] * mcugen_dot_s16_packed(p, in, from, step, first + k, now, 0);
        from += now * step;
        k += now;
        count -= now;
    }
    return acc;
}

/* One output value: the window whose first tap lies at (y, x), for the channels from number `first` on. */
static MCUGEN_INLINE int32_t mcugen_window_s16_packed(const struct mcugen_conv2d_s16_packed *p, const int8_t *in,
                                                      int32_t channel, int32_t y, int32_t x, int32_t first, int32_t acc)
{
    const int32_t depth = p->in_c / p->groups;
    const int32_t taps = p->kernel_h * p->kernel_w * depth;
    const int8_t zero = (int8_t)p->in_zero_point;
    int32_t k = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        for (int32_t kx = 0; kx < p->kernel_w; ++kx, k += depth) {
            const int32_t column = x + kx * p->dilation_w;
            if (y >= 0 && y < p->in_h && column >= 0 && column < p->in_w) {
                const ptrdiff_t from = ((ptrdiff_t)y * p->in_w + column) * p->in_c + first;
                acc = mcugen_run_s16_packed(p, in, from, 1, channel, taps, k, depth, acc);
            } else if (p->in_bytes == 1) {
                acc = mcugen_run_s16_packed(p, &zero, 0, 0, channel, taps, k, depth, acc);
            }
        }
    }
    return acc;
}

static MCUGEN_INLINE void mcugen_conv2d_s16_packed(const struct mcugen_conv2d_s16_packed *p, const int8_t *in,
                                                   int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t depth = p->in_c / p->groups;
    const int32_t group_out = p->out_c / p->groups;
    ptrdiff_t o = 0;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t x = ox * p->stride_w - p->pad_left;
            int32_t first = 0;
            int32_t left = group_out;
            for (int32_t oc = 0; oc < p->out_c; ++oc) {
                const int32_t acc = mcugen_window_s16_packed(p, in, oc, y, x, first, p->bias[oc]);
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

#endif /* MCUGEN_CONV2D_S16_PACKED_H */
