/* SPDX-License-Identifier: Apache-2.0 */
/* The window of a convolution, copied out of the image, with the zero point where it hangs over the edge. */
#ifndef MCUGEN_WINDOW_S8_H
#define MCUGEN_WINDOW_S8_H

#include <stdint.h>

#include "mcugen.h"
#include "simd.h"

/* Copied windows hold kernel_h rows of kernel_w * in_c bytes, which begin row_bytes apart. */
struct mcugen_window_s8 {
    int32_t in_h, in_w, in_c;
    int32_t kernel_h, kernel_w;
    int32_t dilation_h, dilation_w;
    int32_t zero_point;
    int32_t row_bytes;
};

/* What a kernel row meets: `left` padded taps, then taps in the image up to `right`, then padded ones; dilation 1. */
struct mcugen_span {
    int32_t left, right;
};

static MCUGEN_INLINE struct mcugen_span mcugen_row_span(int32_t x, int32_t taps, int32_t width)
{
    struct mcugen_span s = {x < 0 ? -x : 0, width - x < taps ? width - x : taps};
    if (s.left > taps) {
        s.left = taps;
    }
    if (s.right < s.left) {
        s.right = s.left;
    }
    return s;
}

/* `count` bytes to `to`, which do not overlap; returns the byte behind them.  Words may be unaligned; the last one goes
 * back to end where the run ends.  The empty statements keep compilers from calling memcpy and memset, which may be
 * bytewise. */
static MCUGEN_INLINE int8_t *mcugen_copy_s8(int8_t *to, const int8_t *from, int32_t count)
{
    int8_t *end = to + count;
    if (count >= 4) {
        int32_t i = 0;
        for (; i + 4 <= count; i += 4) {
            mcugen_store32(to + i, mcugen_load32(from + i));
            __asm__ volatile("");
        }
        if (i < count) {
            mcugen_store32(end - 4, mcugen_load32(from + count - 4));
            __asm__ volatile("");
        }
        return end;
    }
    for (; to != end; ++to, ++from) {
        *to = *from;
        __asm__ volatile("");
    }
    return to;
}

static MCUGEN_INLINE int8_t *mcugen_fill_s8(int8_t *to, int32_t value, int32_t count)
{
    for (; count > 0; --count) {
        *to++ = (int8_t)value;
        __asm__ volatile("");
    }
    return to;
}

/* The window whose first tap lies at (y, x). */
static MCUGEN_INLINE void mcugen_window_s8(const struct mcugen_window_s8 *p, const int8_t *in, int32_t y, int32_t x,
                                           int8_t *to)
{
    const int32_t taps = p->dilation_w == 1 ? p->kernel_w : 1;
    for (int32_t ky = 0; ky < p->kernel_h; ++ky, y += p->dilation_h, to += p->row_bytes) {
        int8_t *next = to;
        for (int32_t kx = 0; kx < p->kernel_w; kx += taps) {
            const int32_t first = x + kx * p->dilation_w;
            struct mcugen_span s = mcugen_row_span(first, taps, p->in_w);
            if (y < 0 || y >= p->in_h) {
                s.left = s.right = taps;
            }
            next = mcugen_fill_s8(next, p->zero_point, s.left * p->in_c);
            if (s.right > s.left) {
                const int8_t *from = in + (y * p->in_w + first + s.left) * p->in_c;
                next = mcugen_copy_s8(next, from, (s.right - s.left) * p->in_c);
            }
            next = mcugen_fill_s8(next, p->zero_point, (taps - s.right) * p->in_c);
        }
    }
}

#endif /* MCUGEN_WINDOW_S8_H */
