/* SPDX-License-Identifier: Apache-2.0 */
/* Average or sum over windows, int8, channels-last, for cores with the DSP instructions: eight channels at a time. */
#ifndef MCUGEN_AVERAGE_POOL2D_S8_DSP_H
#define MCUGEN_AVERAGE_POOL2D_S8_DSP_H

#include "fixed_point.h"
#include "pool_window.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels]; kernel_h * kernel_w <= 255, so that sums fit int16.  One multiplier
 * and shift a divisor; divisor_class [out_h][out_w] says which one an output takes, null: all take the first.  shift may be
 * null: all zero. */
struct mcugen_average_pool2d_s8_dsp {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int32_t *multiplier;
    const uint8_t *shift;
    const uint8_t *divisor_class;
};

/* How sums become outputs. */
struct mcugen_average_scale_s8_dsp {
    int32_t offset; /* added to the sum */
    int32_t multiplier, shift;
    int32_t zero_point, low, high;
};

static MCUGEN_INLINE int32_t mcugen_average_value(const struct mcugen_average_scale_s8_dsp *s, int32_t sum)
{
    return mcugen_requantize_s8(sum + s->offset, s->multiplier, s->shift, s->zero_point, s->low, s->high);
}

/* Four channels from the sums of the even and the odd ones. */
static MCUGEN_INLINE uint32_t mcugen_average_word(const struct mcugen_average_scale_s8_dsp *s, uint32_t even, uint32_t odd)
{
    const int32_t y0 = mcugen_average_value(s, mcugen_low16(even));
    const int32_t y1 = mcugen_average_value(s, mcugen_low16(odd));
    const int32_t y2 = mcugen_average_value(s, mcugen_high16(even));
    const int32_t y3 = mcugen_average_value(s, mcugen_high16(odd));
    return mcugen_pack_s8(y0, y1, y2, y3);
}

/* All channels of one output pixel, its window at `tap`. */
MCUGEN_SHARED void mcugen_average_pixel_s8_dsp(const struct mcugen_pool_window *w,
                                               const struct mcugen_average_scale_s8_dsp *scale, const int8_t *tap,
                                               int32_t channels, int8_t *out)
{
    const int32_t gap = w->row_step - w->columns * w->column_step;
    const int32_t step = w->column_step;
    for (; channels >= 8; channels -= 8) {
        const int8_t *at = tap;
        uint32_t even[2] = {0, 0};
        uint32_t odd[2] = {0, 0};
        for (int32_t rows = w->rows; rows > 0; --rows) {
            for (int32_t columns = w->columns; columns > 0; --columns) {
                const uint32_t a = mcugen_load32(at);
                const uint32_t b = mcugen_load32(at + 4);
                even[0] = mcugen_sxtab16(even[0], a);
                odd[0] = mcugen_sxtab16_ror8(odd[0], a);
                even[1] = mcugen_sxtab16(even[1], b);
                odd[1] = mcugen_sxtab16_ror8(odd[1], b);
                at += step;
            }
            at += gap;
        }
        mcugen_store32(out, mcugen_average_word(scale, even[0], odd[0]));
        mcugen_store32(out + 4, mcugen_average_word(scale, even[1], odd[1]));
        tap += 8;
        out += 8;
    }
    for (; channels > 0; --channels) {
        const int8_t *at = tap++;
        int32_t sum = 0;
        for (int32_t rows = w->rows; rows > 0; --rows) {
            for (int32_t columns = w->columns; columns > 0; --columns) {
                sum += *at;
                at += step;
            }
            at += gap;
        }
        *out++ = (int8_t)mcugen_average_value(scale, sum);
    }
}

/* Four channels of a whole window, whose size is known when the kernel is compiled for one layer. */
static MCUGEN_INLINE uint32_t mcugen_average_small(const struct mcugen_average_pool2d_s8_dsp *p,
                                                   const struct mcugen_average_scale_s8_dsp *scale, const int8_t *tap)
{
    uint32_t even = 0;
    uint32_t odd = 0;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const uint32_t v = mcugen_load32(tap + (ky * p->dilation_h * p->in_w + kx * p->dilation_w) * p->channels);
            even = mcugen_sxtab16(even, v);
            odd = mcugen_sxtab16_ror8(odd, v);
        }
    }
    return mcugen_average_word(scale, even, odd);
}

static MCUGEN_INLINE void mcugen_average_pool2d_s8_dsp(const struct mcugen_average_pool2d_s8_dsp *p, const int8_t *in,
                                                       int8_t *out, void *scratch)
{
    (void)scratch;
    const struct mcugen_pool_shape shape = {
        .in_h = p->in_h, .in_w = p->in_w, .channels = p->channels, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
    };
    struct mcugen_average_scale_s8_dsp scale = {.zero_point = p->out_zero_point, .low = p->act_min, .high = p->act_max};
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t index = p->divisor_class ? p->divisor_class[oy * p->out_w + ox] : 0;
            ptrdiff_t first;
            const struct mcugen_pool_window w =
                mcugen_pool_window(&shape, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, &first);
            scale.multiplier = p->multiplier[index];
            scale.shift = p->shift ? p->shift[index] : 0;
            scale.offset = -p->in_zero_point * w.taps;
            const int8_t *tap = in + first;
            int32_t channels = p->channels;
            if (p->kernel_h * p->kernel_w <= MCUGEN_POOL_SMALL && w.taps == p->kernel_h * p->kernel_w) {
                for (; channels >= 4; channels -= 4) {
                    mcugen_store32(out, mcugen_average_small(p, &scale, tap));
                    tap += 4;
                    out += 4;
                }
            }
            if (channels > 0) {
                mcugen_average_pixel_s8_dsp(&w, &scale, tap, channels, out);
                out += channels;
            }
        }
    }
}

#endif /* MCUGEN_AVERAGE_POOL2D_S8_DSP_H */
