/* SPDX-License-Identifier: Apache-2.0 */
/* The taps of one pool window that lie on the image. */
#ifndef MCUGEN_POOL_WINDOW_H
#define MCUGEN_POOL_WINDOW_H

#include <stddef.h>

#include "window.h"

/* Whole windows of up to so many taps are unrolled for the layer. */
#define MCUGEN_POOL_SMALL 9

/* Rows of columns of pixels, steps in bytes; rows that follow each other without a gap are made one. */
struct mcugen_pool_window {
    int32_t taps;
    int32_t rows, columns;
    int32_t row_step, column_step;
};

struct mcugen_pool_shape {
    int32_t in_h, in_w, channels;
    int32_t kernel_h, kernel_w;
    int32_t dilation_h, dilation_w;
};

/* The window whose first tap lies at (y, x); `first` becomes the offset of its first tap on the image. */
static MCUGEN_INLINE struct mcugen_pool_window mcugen_pool_window(const struct mcugen_pool_shape *s, int32_t y, int32_t x,
                                                                  ptrdiff_t *first)
{
    const int32_t first_y = mcugen_first_tap(y, s->dilation_h);
    const int32_t first_x = mcugen_first_tap(x, s->dilation_w);
    struct mcugen_pool_window w = {
        .rows = mcugen_end_tap(y, s->dilation_h, s->in_h, s->kernel_h) - first_y,
        .columns = mcugen_end_tap(x, s->dilation_w, s->in_w, s->kernel_w) - first_x,
        .row_step = s->dilation_h * s->in_w * s->channels,
        .column_step = s->dilation_w * s->channels,
    };
    *first = ((ptrdiff_t)(y + first_y * s->dilation_h) * s->in_w + x + first_x * s->dilation_w) * s->channels;
    w.taps = w.rows > 0 && w.columns > 0 ? w.rows * w.columns : 0;
    if (w.columns * w.column_step == w.row_step) {
        w.columns *= w.rows;
        w.rows = 1;
    }
    return w;
}

#endif /* MCUGEN_POOL_WINDOW_H */
