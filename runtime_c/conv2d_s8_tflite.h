/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution, int8, channels-last, in TensorFlow Lite's arithmetic: plain C for every core. */
#ifndef MCUGEN_CONV2D_S8_TFLITE_H
#define MCUGEN_CONV2D_S8_TFLITE_H

#include "conv2d_s8.h"
#include "fixed_point_tflite.h"

/* As struct mcugen_conv2d_s8, with an exponent per output channel instead of a shift. */
struct mcugen_conv2d_s8_tflite {
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
    const int8_t *exponent;
};

static MCUGEN_INLINE void mcugen_conv2d_s8_tflite(const struct mcugen_conv2d_s8_tflite *p, const int8_t *in,
                                                  int8_t *out, void *scratch)
{
    (void)scratch;
    const struct mcugen_conv2d_s8 window = {
        .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w, .groups = p->groups, .in_zero_point = p->in_zero_point,
    };
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
                const int32_t acc = mcugen_conv2d_window_s8(&window, from, weights, y, x, depth, p->bias[oc]);
                *out++ = mcugen_requantize_s8_tflite(acc, p->multiplier[oc], p->exponent[oc], p->out_zero_point,
                                                     p->act_min, p->act_max);
            }
        }
    }
}

#endif /* MCUGEN_CONV2D_S8_TFLITE_H */
