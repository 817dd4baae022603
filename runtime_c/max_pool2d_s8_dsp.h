/* SPDX-License-Identifier: Apache-2.0 */
/* Maximum or minimum over windows, int8, channels-last, for cores with the DSP instructions: eight channels at a time. */
#ifndef MCUGEN_MAX_POOL2D_S8_DSP_H
#define MCUGEN_MAX_POOL2D_S8_DSP_H

#include "pool_window.h"
#include "simd.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels]; flip is 0 for the maximum, -1 for the minimum: inverting all
 * bits of an int8 reverses the order. */
struct mcugen_max_pool2d_s8_dsp {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t flip;
};

/* All channels of one output pixel, its window at `tap`. */
MCUGEN_SHARED void mcugen_max_pixel_s8_dsp(const struct mcugen_pool_window *w, const int8_t *tap, int32_t channels,
                                           uint32_t flip, int8_t *out)
{
    const int32_t gap = w->row_step - w->columns * w->column_step;
    const int32_t step = w->column_step;
    for (; channels >= 8; channels -= 8) {
        const int8_t *at = tap;
        uint32_t a = 0x80808080u;
        uint32_t b = 0x80808080u;
        for (int32_t rows = w->rows; rows > 0; --rows) {
            for (int32_t columns = w->columns; columns > 0; --columns) {
                a = mcugen_max_s8(a, mcugen_load32(at) ^ flip);
                b = mcugen_max_s8(b, mcugen_load32(at + 4) ^ flip);
                at += step;
            }
            at += gap;
        }
        mcugen_store32(out, a ^ flip);
        mcugen_store32(out + 4, b ^ flip);
        tap += 8;
        out += 8;
    }
    for (; channels > 0; --channels) {
        const int8_t *at = tap++;
        uint32_t a = 0x80808080u;
        for (int32_t rows = w->rows; rows > 0; --rows) {
            for (int32_t columns = w->columns; columns > 0; --columns) {
                a = mcugen_max_s8(a, (uint32_t)(uint8_t)*at ^ flip);
                at += step;
            }
            at += gap;
        }
        *out++ = (int8_t)(uint8_t)(a ^ flip);
    }
}

/* Four channels of a whole window, whose size is known when the kernel is compiled for one layer. */
static MCUGEN_INLINE uint32_t mcugen_max_word(const struct mcugen_max_pool2d_s8_dsp *p, const int8_t *tap)
{
    uint32_t best = 0x80808080u;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const int32_t at = (ky * p->dilation_h * p->in_w + kx * p->dilation_w) * p->channels;
            best = mcugen_max_s8(best, mcugen_load32(tap + at) ^ (uint32_t)p->flip);
        }
    }
    return best ^ (uint32_t)p->flip;
}

static MCUGEN_INLINE void mcugen_max_pool2d_s8_dsp(const struct mcugen_max_pool2d_s8_dsp *p, const int8_t *in, int8_t *out,
                                                   void *scratch)
{
    (void)scratch;
    const struct mcugen_pool_shape shape = {
        .in_h = p->in_h, .in_w = p->in_w, .channels = p->channels, .kernel_h = p->kernel_h, .kernel_w = p->kernel_w,
        .dilation_h = p->dilation_h, .dilation_w = p->dilation_w,
    };
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            ptrdiff_t first;
            const struct mcugen_pool_window w =
                mcugen_pool_window(&shape, oy * p->stride_h - p->pad_top, ox * p->stride_w - p->pad_left, &first);
            const int8_t *tap = in + first;
            int32_t channels = p->channels;
            if (p->kernel_h * p->kernel_w <= MCUGEN_POOL_SMALL && w.taps == p->kernel_h * p->kernel_w) {
                for (; channels >= 4; channels -= 4) {
                    mcugen_store32(out, mcugen_max_word(p, tap));
                    tap += 4;
                    out += 4;
                }
            }
            if (channels > 0) {
                mcugen_max_pixel_s8_dsp(&w, tap, channels, (uint32_t)p->flip, out);
                out += channels;
            }
        }
    }
}

#endif /* MCUGEN_MAX_POOL2D_S8_DSP_H */
