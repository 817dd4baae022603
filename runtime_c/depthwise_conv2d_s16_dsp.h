/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution with int8 weights that reads or writes int16, channels-last, any kernel, stride, dilation and padding, for
 * cores with the DSP instructions: 2 channels of 1 or 2 pixels at a time. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S16_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_S16_DSP_H

#include <stdbool.h>
#include <stdint.h>

#include "clamp_s16.h"
#include "window.h"

/* in [in_h][in_w][channels] of in_bytes an element, out [out_h][out_w][channels], stored as `store` says.  Weights, for every two
 * channels (an odd last one is filled up): int32 initial[2], a word of two int16 for every tap, int32 multiplier[2].  Inputs count
 * as (in - in_zero_point) * 2^in_shift, so that padded taps are left out.  Up to 2 bytes behind the input are read. */
struct mcugen_depthwise_conv2d_s16_dsp {
    int32_t in_bytes, store;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t in_shift;
    const uint32_t *weights;
};

/* The taps of one pixel that lie on the image: kernel rows and columns [first, end). */
struct mcugen_depthwise_taps {
    int32_t row, row_end, column, column_end;
};

/* Two neighbouring channels as two int16. */
static MCUGEN_INLINE uint32_t mcugen_depthwise_pair(const struct mcugen_depthwise_conv2d_s16_dsp *p, const int8_t *in)
{
    const uint32_t pair = mcugen_pair_s16(in, p->in_bytes);
    if (p->in_bytes == 2) {
        return pair;
    }
    const uint32_t zero = (uint32_t)(uint16_t)p->in_zero_point * 0x10001u;
    return mcugen_shift_pair(mcugen_ssub16(pair, zero), p->in_shift);
}

static MCUGEN_INLINE void mcugen_depthwise_store(const struct mcugen_depthwise_conv2d_s16_dsp *p, int8_t *out, bool both,
                                                 const int32_t *acc, const uint32_t *multiplier)
{
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const int32_t first = mcugen_smmlar(acc[0], (int32_t)multiplier[0], p->out_zero_point);
    const int32_t second = mcugen_smmlar(acc[1], (int32_t)multiplier[1], p->out_zero_point);
    const int32_t low = mcugen_saturate_stored(first, p->store);
    const int32_t high = mcugen_saturate_stored(second, p->store);
    if (both && bytes == 2) {
        mcugen_store32(out, mcugen_pkhbt((uint32_t)low, (uint32_t)high));
    } else {
        mcugen_put(out, 0, low, bytes);
        if (both) {
            mcugen_put(out, 1, high, bytes);
        }
    }
}

/* Whole windows of two pixels next to each other, all channels; `in` is the first tap of the first. */
static MCUGEN_INLINE void mcugen_depthwise_two_s16_dsp(const struct mcugen_depthwise_conv2d_s16_dsp *p, const int8_t *in,
                                                       int8_t *out)
{
    const int32_t pixel = p->channels * p->in_bytes;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const uint32_t *w = p->weights;
    for (int32_t c = 0; c < p->channels; c += 2) {
        int32_t first[2] = {(int32_t)w[0], (int32_t)w[1]};
        int32_t second[2] = {(int32_t)w[0], (int32_t)w[1]};
        w += 2;
        const int8_t *row = in;
        for (int32_t ky = 0; ky < p->kernel_h; ++ky, row += p->dilation_h * p->in_w * pixel) {
            const int8_t *tap = row;
            for (int32_t kx = 0; kx < p->kernel_w; ++kx, tap += p->dilation_w * pixel) {
                const uint32_t a = mcugen_depthwise_pair(p, tap);
                const uint32_t b = mcugen_depthwise_pair(p, tap + p->stride_w * pixel);
                const uint32_t weight = *w++;
                first[0] = mcugen_smlabb(a, weight, first[0]);
                first[1] = mcugen_smlatt(a, weight, first[1]);
                second[0] = mcugen_smlabb(b, weight, second[0]);
                second[1] = mcugen_smlatt(b, weight, second[1]);
            }
        }
        mcugen_depthwise_store(p, out, c + 1 < p->channels, first, w);
        mcugen_depthwise_store(p, out + p->channels * bytes, c + 1 < p->channels, second, w);
        w += 2;
        in += 2 * p->in_bytes;
        out += 2 * bytes;
    }
}

/* One pixel, all channels; `in` is the first tap on the image. */
static MCUGEN_INLINE void mcugen_depthwise_one_s16_dsp(const struct mcugen_depthwise_conv2d_s16_dsp *p, const int8_t *in,
                                                       struct mcugen_depthwise_taps t, int8_t *out)
{
    const int32_t pixel = p->channels * p->in_bytes;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const int32_t taps = p->kernel_h * p->kernel_w;
    const uint32_t *w = p->weights;
    for (int32_t c = 0; c < p->channels; c += 2, w += taps + 4) {
        int32_t acc[2] = {(int32_t)w[0], (int32_t)w[1]};
        const int8_t *row = in;
        for (int32_t ky = t.row; ky < t.row_end; ++ky, row += p->dilation_h * p->in_w * pixel) {
            const uint32_t *weight = w + 2 + ky * p->kernel_w;
            const int8_t *tap = row;
            for (int32_t kx = t.column; kx < t.column_end; ++kx, tap += p->dilation_w * pixel) {
                const uint32_t a = mcugen_depthwise_pair(p, tap);
                acc[0] = mcugen_smlabb(a, weight[kx], acc[0]);
                acc[1] = mcugen_smlatt(a, weight[kx], acc[1]);
            }
        }
        mcugen_depthwise_store(p, out, c + 1 < p->channels, acc, w + 2 + taps);
        in += 2 * p->in_bytes;
        out += 2 * bytes;
    }
}

/* Row oy of the output, which goes to `to`. */
static MCUGEN_INLINE void mcugen_depthwise_row_s16_dsp(const struct mcugen_depthwise_conv2d_s16_dsp *p, const int8_t *in,
                                                       int32_t oy, int8_t *to)
{
    const int32_t pixel = p->channels * p->in_bytes;
    const int32_t out_pixel = p->channels * (p->store == MCUGEN_STORE_S8 ? 1 : 2);
    const int32_t y = oy * p->stride_h - p->pad_top;
    struct mcugen_depthwise_taps t = {
        .row = mcugen_first_tap(y, p->dilation_h),
        .row_end = mcugen_end_tap(y, p->dilation_h, p->in_h, p->kernel_h),
    };
    for (int32_t ox = 0; ox < p->out_w; ++ox) {
        const int32_t x = ox * p->stride_w - p->pad_left;
        const int32_t last = x + p->stride_w + (p->kernel_w - 1) * p->dilation_w;
        if (t.row == 0 && t.row_end == p->kernel_h && x >= 0 && last < p->in_w && ox + 1 < p->out_w) {
            mcugen_depthwise_two_s16_dsp(p, in + ((ptrdiff_t)y * p->in_w + x) * pixel, to);
            to += 2 * out_pixel;
            ++ox;
        } else {
            t.column = mcugen_first_tap(x, p->dilation_w);
            t.column_end = mcugen_end_tap(x, p->dilation_w, p->in_w, p->kernel_w);
            const ptrdiff_t corner = (ptrdiff_t)(y + t.row * p->dilation_h) * p->in_w + x + t.column * p->dilation_w;
            mcugen_depthwise_one_s16_dsp(p, in + corner * pixel, t, to);
            to += out_pixel;
        }
    }
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s16_dsp(const struct mcugen_depthwise_conv2d_s16_dsp *p,
                                                          const int8_t *in, int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t row = p->out_w * p->channels * (p->store == MCUGEN_STORE_S8 ? 1 : 2);
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        mcugen_depthwise_row_s16_dsp(p, in, oy, out + (ptrdiff_t)oy * row);
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->channels, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S16_DSP_H */
