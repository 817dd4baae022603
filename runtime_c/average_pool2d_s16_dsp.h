/* SPDX-License-Identifier: Apache-2.0 */
/* Average or sum over windows, channels-last, that reads or writes int16, for cores with the DSP instructions: two channels at a
 * time. */
#ifndef MCUGEN_AVERAGE_POOL2D_S16_DSP_H
#define MCUGEN_AVERAGE_POOL2D_S16_DSP_H

#include "clamp_s16.h"
#include "window.h"

/* in [in_h][in_w][channels] of in_bytes an element, out [out_h][out_w][channels], stored as `store` says.  One multiplier
 * and shift a divisor; divisor_class [out_h][out_w] says which one an output takes, null: all take the first.  shift may be
 * null: all zero.  Up to 2 bytes behind the input are read. */
struct mcugen_average_pool2d_s16_dsp {
    int32_t in_bytes, store;
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

static MCUGEN_INLINE void mcugen_average_pool2d_s16_dsp(const struct mcugen_average_pool2d_s16_dsp *p, const int8_t *in,
                                                        int8_t *out, void *scratch)
{
    (void)scratch;
    const int32_t bytes = p->store == MCUGEN_STORE_S8 ? 1 : 2;
    const int32_t pixel = p->channels * p->in_bytes;
    const int32_t row_step = p->dilation_h * p->in_w * pixel;
    const int32_t column_step = p->dilation_w * pixel;
    int8_t *to = out;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        const int32_t y = oy * p->stride_h - p->pad_top;
        const int32_t first_y = mcugen_first_tap(y, p->dilation_h);
        const int32_t rows = mcugen_end_tap(y, p->dilation_h, p->in_h, p->kernel_h) - first_y;
        for (int32_t ox = 0; ox < p->out_w; ++ox) {
            const int32_t x = ox * p->stride_w - p->pad_left;
            const int32_t first_x = mcugen_first_tap(x, p->dilation_w);
            const int32_t columns = mcugen_end_tap(x, p->dilation_w, p->in_w, p->kernel_w) - first_x;
            const int32_t corner = (y + first_y * p->dilation_h) * p->in_w + x + first_x * p->dilation_w;
            const int32_t index = p->divisor_class ? p->divisor_class[oy * p->out_w + ox] : 0;
            const int32_t multiplier = p->multiplier[index];
            const int32_t shift = p->shift ? p->shift[index] : 0;
            const int32_t offset = rows > 0 && columns > 0 ? -p->in_zero_point * rows * columns : 0;
            const int8_t *from = in + (ptrdiff_t)corner * pixel;
            for (int32_t c = 0; c < p->channels; c += 2, from += 2 * p->in_bytes) {
                int32_t low = offset;
                int32_t high = offset;
                const int8_t *row = from;
                for (int32_t ky = 0; ky < rows; ++ky, row += row_step) {
                    const int8_t *tap = row;
                    for (int32_t kx = 0; kx < columns; ++kx, tap += column_step) {
                        const uint32_t pair = mcugen_pair_s16(tap, p->in_bytes);
                        low = mcugen_smlad(pair, 1u, low);
                        high = mcugen_smlad(pair, 0x10000u, high);
                    }
                }
                low = mcugen_requantize(low, multiplier, shift, p->out_zero_point);
                high = mcugen_requantize(high, multiplier, shift, p->out_zero_point);
                mcugen_put(to, 0, mcugen_saturate_stored(low, p->store), bytes);
                to += bytes;
                if (c + 1 < p->channels) {
                    mcugen_put(to, 0, mcugen_saturate_stored(high, p->store), bytes);
                    to += bytes;
                }
            }
        }
    }
    mcugen_clamp_stored(out, p->out_h * p->out_w * p->channels, p->act_min, p->act_max, p->store);
}

#endif /* MCUGEN_AVERAGE_POOL2D_S16_DSP_H */
