/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, any kernel, stride, dilation and padding, with weights of 4 bits, for cores without packed arithmetic: 8
 * channels at a time. */
#ifndef MCUGEN_CONV2D_INT4_S8_SCALAR_H
#define MCUGEN_CONV2D_INT4_S8_SCALAR_H

#include <stdbool.h>
#include <stdint.h>

#include "conv2d_s8_w4.h"
#include "fixed_point.h"
#include "int4_s8_scalar.h"
#include "window_s8.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][out_c]; a fully connected layer is 1x1.  weights: for every 8 channels the words of
 * int4_s8_scalar.h, inputs in the order [kernel_h][kernel_w][in_c]; rest: of the last out_c % 8 channels the weights one after the
 * other, a channel after the other, two in a byte, the first in the lower half, each as w + 8.  Either may be null
 * where there are none.
 * factors may be null, else [out_c][ceil(inputs / 32)].  shift may be null: all zero.  Padded taps read in_zero_point.
 * Scratch: 4 bytes for every 32 inputs of a channel, begun ones included; then kernel_h * kernel_w * in_c bytes, none where all
 * windows are pixels of the image (`point` is 1). */
struct mcugen_conv2d_int4_s8_scalar {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    int32_t point;
    const uint32_t *weights;
    const uint8_t *rest;
    const uint8_t *factors;
    const int32_t *bias;
    const int32_t *multiplier;
    const uint8_t *shift;
};

static MCUGEN_INLINE int8_t mcugen_conv2d_int4_finish(const struct mcugen_conv2d_int4_s8_scalar *p, int32_t oc, int32_t acc)
{
    return mcugen_requantize_s8(acc + p->bias[oc], p->multiplier[oc], p->shift ? p->shift[oc] : 0, p->out_zero_point,
                                p->act_min, p->act_max);
}

/* The sum of a channel's weights times the window, the weights from number `first` of `rest` on. */
static MCUGEN_INLINE int32_t mcugen_conv2d_int4_rest(const uint8_t *rest, int32_t first, const int8_t *in, int32_t depth,
                                                     const uint8_t *factor)
{
    static const int8_t values[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
    int32_t total = 0;
    if (!factor) {
        return mcugen_dot_s8_w4(in, 1, rest, first, depth, values, 0);
    }
    for (int32_t k = 0; k < depth; k += MCUGEN_W4_GROUP) {
        const int32_t left = depth - k;
        const int32_t count = left < MCUGEN_W4_GROUP ? left : MCUGEN_W4_GROUP;
        total += (int32_t)*factor++ * mcugen_dot_s8_w4(in + k, 1, rest, first + k, count, values, 0);
    }
    return total;
}

/* -8 times the sum of the inputs, of each group where there are factors. */
static MCUGEN_INLINE void mcugen_conv2d_int4_corrections(const int8_t *window, int32_t depth, bool grouped, int32_t *sums)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < depth; ++k) {
        sum -= 8 * (int32_t)window[k];
        if (grouped && k % MCUGEN_W4_GROUP == MCUGEN_W4_GROUP - 1) {
            *sums++ = sum;
            sum = 0;
        }
    }
    if (!grouped || depth % MCUGEN_W4_GROUP) {
        *sums = sum;
    }
}

/* 8 channels of one pixel, whose window is `depth` inputs; the weights come out behind theirs. */
static MCUGEN_INLINE void mcugen_conv2d_int4_block(const struct mcugen_conv2d_int4_s8_scalar *p,
                                                   struct mcugen_int4_s8_scalar *m, const int8_t *window, int32_t depth,
                                                   const int32_t *sums, int32_t oc, int8_t *out)
{
    static const uint8_t place[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    const int32_t groups = (depth + MCUGEN_W4_GROUP - 1) / MCUGEN_W4_GROUP;
    const int32_t run = p->factors ? MCUGEN_W4_GROUP : depth;
    int32_t total[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    m->in = window;
    for (int32_t k = 0; k < depth; k += run) {
        const int32_t left = depth - k;
        m->count = left < run ? left : run;
        for (int32_t r = 0; r < 8; ++r) {
            m->acc[r] = *sums;
        }
        ++sums;
        mcugen_int4_s8_scalar(m);
        for (int32_t r = 0; r < 8; ++r) {
            const int32_t factor = p->factors ? (int32_t)p->factors[(oc + r) * groups + k / MCUGEN_W4_GROUP] : 1;
            total[r] += factor * m->acc[place[r]];
        }
    }
    for (int32_t r = 0; r < 8; ++r) {
        out[oc + r] = mcugen_conv2d_int4_finish(p, oc + r, total[r]);
    }
}

static MCUGEN_INLINE void mcugen_conv2d_int4_s8_scalar(const struct mcugen_conv2d_int4_s8_scalar *p, const int8_t *in,
                                                       int8_t *out, void *scratch)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t depth = p->kernel_h * run;
    const int32_t groups = (depth + MCUGEN_W4_GROUP - 1) / MCUGEN_W4_GROUP;
    const int32_t blocks = p->out_c & ~7;
    int32_t *sums = (int32_t *)scratch;
    int8_t *bytes = (int8_t *)(sums + groups);
    const struct mcugen_window_s8 w = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .zero_point = p->in_zero_point, .row_bytes = run,
    };
    int32_t y = -p->pad_top;
    for (int32_t oy = 0; oy < p->out_h; ++oy, y += p->stride_h) {
        int32_t x = -p->pad_left;
        for (int32_t ox = 0; ox < p->out_w; ++ox, x += p->stride_w) {
            const int8_t *window = bytes;
            struct mcugen_int4_s8_scalar m = {.weights = p->weights};
            if (p->point) {
                window = in + (y * p->in_w + x) * p->in_c;
            } else {
                mcugen_window_s8(&w, in, y, x, bytes);
            }
            mcugen_conv2d_int4_corrections(window, depth, p->factors != 0, sums);
            for (int32_t oc = 0; oc < blocks; oc += 8) {
                mcugen_conv2d_int4_block(p, &m, window, depth, sums, oc, out);
            }
            for (int32_t oc = blocks; oc < p->out_c; ++oc) {
                const uint8_t *factor = p->factors ? p->factors + oc * groups : 0;
                out[oc] = mcugen_conv2d_int4_finish(
                    p, oc, mcugen_conv2d_int4_rest(p->rest, (oc - blocks) * depth, window, depth, factor));
            }
            out += p->out_c;
        }
    }
}

#endif /* MCUGEN_CONV2D_INT4_S8_SCALAR_H */
