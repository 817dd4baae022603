/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, stride 1, an output as large as the input, in the input's place, for cores without packed
 * arithmetic; conditions on the weights in depthwise_rows_s8_scalar.h. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_PLACE_S8_SCALAR_H
#define MCUGEN_DEPTHWISE_CONV2D_PLACE_S8_SCALAR_H

#include <stdint.h>

#include "clamp_s8.h"
#include "depthwise_rows_s8_scalar.h"

/* in, out [height][width][channels], the same bytes or bytes apart; pad_top <= 2. `records` are those of
 * depthwise_conv2d_s8_scalar.h, one an output channel.
 * Scratch: that of depthwise_conv2d_s8_scalar.h, and behind it 2 * width bytes for two rows of one channel, which wait
 * there until the rows that the next two need have been read. */
struct mcugen_depthwise_conv2d_place_s8_scalar {
    int32_t height, width, channels;
    int32_t kernel_h, kernel_w;
    int32_t dilation_h;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *records;
};

static MCUGEN_INLINE void mcugen_depthwise_conv2d_place_s8_scalar(
    const struct mcugen_depthwise_conv2d_place_s8_scalar *p, const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t taps = p->kernel_h * p->kernel_w;
    const int32_t pairs = (taps + 1) >> 1;
    const int32_t words = (taps + 3) >> 2;
    const int32_t columns = p->width - 1 + p->kernel_w;
    int32_t *weights = (int32_t *)scratch;
    uint32_t *strip = (uint32_t *)scratch + 2 * pairs;
    int8_t *lines = (int8_t *)(strip + columns * p->kernel_h + 1);
    const struct mcugen_strip_s8_scalar s = {
        p->height, p->width, p->channels, p->kernel_h, 1, p->dilation_h, p->pad_left, columns, p->in_zero_point,
    };
    struct mcugen_depthwise_rows_s8_scalar m = {
        strip, 4 * p->kernel_h, weights, weights + 2 * pairs, 0, 0, mcugen_scalar_rounding(p->out_zero_point),
        lines, lines + p->width, 1, p->width,
        (MCUGEN_DEPTHWISE_UNROLL - pairs % MCUGEN_DEPTHWISE_UNROLL) % MCUGEN_DEPTHWISE_UNROLL,
    };
    const uint32_t *record = p->records;
    strip[columns * p->kernel_h] = 0;
    for (int32_t c = 0; c < p->channels; ++c) {
        const int8_t *packed = (const int8_t *)(record + 2);
        int8_t *to = out + c;
        m.bias = (int32_t)record[0];
        m.multiplier = record[1];
        for (int32_t i = 0; i < 2 * pairs; ++i) {
            weights[i] = packed[i];
        }
        record += 2 + words;
        mcugen_strip_s8_scalar(&s, in + c, -p->pad_top, strip);
        for (int32_t left = p->height; left > 0; left -= 2) {
            const int32_t made = left > 1 ? 2 * p->width : p->width;
            mcugen_depthwise_rows_s8_scalar(&m);
            if (left > 2) {
                mcugen_strip_s8_scalar(&s, in + c, p->height - left + 2 - p->pad_top, strip);
            }
            for (int32_t i = 0; i < made; ++i) {
                *to = lines[i];
                to += p->channels;
            }
        }
    }
    mcugen_clamp_s8(out, p->height * p->width * p->channels, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_PLACE_S8_SCALAR_H */
