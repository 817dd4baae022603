/* SPDX-License-Identifier: Apache-2.0 */
/* The window of a convolution, copied out of the image in pieces of 16 bytes, with the zero point over the edge. */
#ifndef MCUGEN_WINDOW_S8_MVE_H
#define MCUGEN_WINDOW_S8_MVE_H

#include "mve.h"
#include "window_s8.h"

/* kernel_w * in_c bytes of a kernel row, whose taps lie at x, x + dilation_w, ...; returns the byte behind them. */
static MCUGEN_MVE_INLINE int8_t *mcugen_window_row_mve(const struct mcugen_window_s8 *p, const int8_t *row, int32_t x, int8_t *to)
{
    if (p->dilation_w == 1) {
        const struct mcugen_span s = mcugen_row_span(x, p->kernel_w, p->in_w);
        to = mcugen_fill_over_s8(to, p->zero_point, s.left * p->in_c);
        if (s.right > s.left) {
            to = mcugen_copy_over_s8(to, row + (ptrdiff_t)(x + s.left) * p->in_c, (s.right - s.left) * p->in_c);
        }
        return mcugen_fill_over_s8(to, p->zero_point, (p->kernel_w - s.right) * p->in_c);
    }
    for (int32_t kx = 0; kx < p->kernel_w; ++kx, x += p->dilation_w) {
        if (x < 0 || x >= p->in_w) {
            to = mcugen_fill_over_s8(to, p->zero_point, p->in_c);
        } else {
            to = mcugen_copy_over_s8(to, row + (ptrdiff_t)x * p->in_c, p->in_c);
        }
    }
    return to;
}

/* The window whose first tap lies at (y, x), its rows without gaps: writes up to 15 bytes behind it, and reads up to 15
 * bytes behind the image. */
static MCUGEN_MVE_INLINE void mcugen_window_s8_mve(const struct mcugen_window_s8 *p, const int8_t *in, int32_t y, int32_t x, int8_t *to)
{
    const int32_t run = p->kernel_w * p->in_c;
    const int32_t row_bytes = p->in_w * p->in_c;
    const bool inner = x >= 0 && x + p->kernel_w <= p->in_w && p->dilation_w == 1;
    if (inner && y >= 0 && y + (p->kernel_h - 1) * p->dilation_h < p->in_h) {
        const int8_t *from = in + (ptrdiff_t)y * row_bytes + (ptrdiff_t)x * p->in_c;
        for (int32_t ky = 0; ky < p->kernel_h; ++ky, from += (ptrdiff_t)p->dilation_h * row_bytes) {
            to = mcugen_copy_over_s8(to, from, run);
        }
        return;
    }
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h) {
        if (y < 0 || y >= p->in_h) {
            to = mcugen_fill_over_s8(to, p->zero_point, run);
        } else {
            to = mcugen_window_row_mve(p, in + (ptrdiff_t)y * row_bytes, x, to);
        }
    }
}

#endif /* MCUGEN_WINDOW_S8_MVE_H */
