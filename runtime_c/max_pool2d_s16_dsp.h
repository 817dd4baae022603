/* SPDX-License-Identifier: Apache-2.0 */
/* Maximum or minimum over windows, int16, channels-last, for cores with the DSP instructions: two channels at a time. */
#ifndef MCUGEN_MAX_POOL2D_S16_DSP_H
#define MCUGEN_MAX_POOL2D_S16_DSP_H

#include "element_s16.h"
#include "window.h"

/* in [in_h][in_w][channels], out [out_h][out_w][channels], channels even; flip is 0 for the maximum, -1 for the minimum: inverting
 * all bits of an int16 reverses the order. */
struct mcugen_max_pool2d_s16_dsp {
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t flip;
};

/* The larger of each pair of int16. */
static MCUGEN_INLINE uint32_t mcugen_max_pair(uint32_t a, uint32_t b)
{
#if MCUGEN_HAVE_DSP
    uint32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b));
    return r;
#else
    const int32_t low = mcugen_low16(a) > mcugen_low16(b) ? mcugen_low16(a) : mcugen_low16(b);
    const int32_t high = mcugen_high16(a) > mcugen_high16(b) ? mcugen_high16(a) : mcugen_high16(b);
    return mcugen_pkhbt((uint32_t)low, (uint32_t)high);
#endif
}

static MCUGEN_INLINE void mcugen_max_pool2d_s16_dsp(const struct mcugen_max_pool2d_s16_dsp *p, const int8_t *in,
                                                    int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t pixel = 2 * p->channels;
    const int32_t row_step = p->dilation_h * p->in_w * pixel;
    const int32_t column_step = p->dilation_w * pixel;
    const uint32_t flip = (uint32_t)p->flip;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        const int32_t y = oy * p->stride_h - p->pad_top;
        const int32_t first_y = mcugen_first_tap(y, p->dilation_h);
        const int32_t rows = mcugen_end_tap(y, p->dilation_h, p->in_h, p->kernel_h) - first_y;
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t x = ox * p->stride_w - p->pad_left;
            const int32_t first_x = mcugen_first_tap(x, p->dilation_w);
            const int32_t columns = mcugen_end_tap(x, p->dilation_w, p->in_w, p->kernel_w) - first_x;
            const int32_t corner = (y + first_y * p->dilation_h) * p->in_w + x + first_x * p->dilation_w;
            const int8_t *from = in + (ptrdiff_t)corner * pixel;
            for (int32_t c = 0; c < p->channels; c += 2, from += 4, out += 4) {
                uint32_t best = 0x80008000u;
                const int8_t *row = from;
                for (int32_t ky = 0; ky < rows; ++ky, row += row_step) {
                    const int8_t *tap = row;
                    for (int32_t kx = 0; kx < columns; ++kx, tap += column_step) {
                        best = mcugen_max_pair(best, mcugen_load32(tap) ^ flip);
                    }
                }
                mcugen_store32(out, best ^ flip);
            }
        }
    }
}

#endif /* MCUGEN_MAX_POOL2D_S16_DSP_H */
