/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of the DSP kernels for weights of 4 bits over int16.
 *
 * Column of one pixel: the inputs in pairs, the first in the lower half; of two, the words of the second pixel behind each of the
 * first's.  It is filled up with zeros to a multiple of 8 inputs.
 * Codes into a table run on the blocks of codes_s8_dsp.h: the bytes of a weight word hold the codes of {x0, x1}, {x2, x3}, ... */
#ifndef MCUGEN_CODES_S16_DSP_H
#define MCUGEN_CODES_S16_DSP_H

#include <stdint.h>

#include "element_s16.h"
#include "window_s8.h"

/* `words` pairs of int16 as words `gap` apart; returns the sum of the inputs. */
MCUGEN_SHARED int32_t mcugen_codes_column_s16_dsp(const int8_t *in, uint32_t *column, int32_t words, int32_t gap)
{
    int32_t sum = 0;
    for (; words >= 4; words -= 4) {
        const uint32_t a = mcugen_load32(in);
        const uint32_t b = mcugen_load32(in + 4);
        const uint32_t c = mcugen_load32(in + 8);
        const uint32_t d = mcugen_load32(in + 12);
        sum = mcugen_smlad(a, 0x00010001u, mcugen_smlad(b, 0x00010001u, sum));
        sum = mcugen_smlad(c, 0x00010001u, mcugen_smlad(d, 0x00010001u, sum));
        column[0] = a;
        column[gap] = b;
        column[2 * gap] = c;
        column[3 * gap] = d;
        column += 4 * gap;
        in += 16;
    }
    for (; words > 0; --words) {
        const uint32_t a = mcugen_load32(in);
        sum = mcugen_smlad(a, 0x00010001u, sum);
        *column = a;
        column += gap;
        in += 4;
    }
    return sum;
}

/* The same of `words` groups of four int8, two pairs each, which count 2^shift times. */
MCUGEN_SHARED int32_t mcugen_codes_column_s8_s16_dsp(const int8_t *in, uint32_t *column, int32_t words, int32_t gap,
                                                     int32_t shift)
{
    int32_t sum = 0;
    for (; words > 0; --words) {
        const uint32_t v = mcugen_load32(in);
        const uint32_t even = mcugen_shift_pair(mcugen_sxtb16(v), shift);
        const uint32_t odd = mcugen_shift_pair(mcugen_sxtb16_ror8(v), shift);
        sum = mcugen_smlad(even, 0x00010001u, mcugen_smlad(odd, 0x00010001u, sum));
        column[0] = mcugen_pkhbt(even, odd);
        column[gap] = mcugen_pkhtb(odd, even);
        column += 2 * gap;
        in += 4;
    }
    return sum;
}

/* One word of the input after the other: two int16 or four int8. */
static MCUGEN_INLINE int32_t mcugen_codes_column_wide(const int8_t *in, int32_t in_bytes, uint32_t *column, int32_t words,
                                                      int32_t gap, int32_t shift)
{
    return in_bytes == 2 ? mcugen_codes_column_s16_dsp(in, column, words, gap)
                         : mcugen_codes_column_s8_s16_dsp(in, column, words, gap, shift);
}

/* The `in_c` inputs of a vector as a column of one pixel, `steps` groups of 8; returns their sum. */
static MCUGEN_INLINE int32_t mcugen_vector_column_s16_dsp(const int8_t *in, int32_t in_c, int32_t in_bytes,
                                                          uint32_t *column, int32_t steps, int32_t shift)
{
    const int32_t words = (in_c * in_bytes) >> 2;
    const int32_t done = in_bytes == 2 ? words : 2 * words; /* words of the column */
    int32_t sum = mcugen_codes_column_wide(in, in_bytes, column, words, 1, shift);
    for (int32_t i = done; i < 4 * steps; ++i) {
        column[i] = 0;
    }
    for (int32_t i = 2 * done; i < in_c; ++i) {
        const int32_t value = mcugen_element(in, i, in_bytes) * (int32_t)((uint32_t)1 << shift);
        sum += value;
        column[i >> 1] |= (uint32_t)(uint16_t)value << (16 * (i & 1));
    }
    return sum;
}

/* Windows of a convolution as columns of pairs of pixels. */
struct mcugen_columns_s16_dsp {
    struct mcugen_window_s8 window; /* in_c and row_bytes in bytes */
    const int8_t *in;
    int8_t *staged; /* room for a window, filled up with zeros to a multiple of 8 inputs; not used where all are read in place */
    int32_t in_bytes, shift;
    int32_t steps; /* groups of 8 inputs */
};

/* Whether kernel rows are whole words, and so are read in place where the window lies in the image. */
static MCUGEN_INLINE bool mcugen_columns_in_place(const struct mcugen_columns_s16_dsp *c)
{
    return c->window.dilation_w == 1 && (c->window.row_bytes & 3) == 0;
}

/* The zeros behind the inputs of both pixels at `column`, and behind a window. */
static MCUGEN_INLINE void mcugen_columns_begin(const struct mcugen_columns_s16_dsp *c, uint32_t *column, bool staged)
{
    for (int32_t i = 0; i < 8 * c->steps; ++i) {
        column[i] = 0;
    }
    for (int32_t i = c->window.kernel_h * c->window.row_bytes; staged && i < 8 * c->steps * c->in_bytes; ++i) {
        c->staged[i] = 0;
    }
}

/* The window at (y, x) as every second word from `to` on; returns the sum of its inputs. */
static MCUGEN_INLINE int32_t mcugen_columns_fill(const struct mcugen_columns_s16_dsp *c, int32_t y, int32_t x, uint32_t *to)
{
    const struct mcugen_window_s8 *w = &c->window;
    const int32_t y_end = y + (w->kernel_h - 1) * w->dilation_h;
    if (mcugen_columns_in_place(c) && y >= 0 && x >= 0 && y_end < w->in_h && x + w->kernel_w <= w->in_w) {
        const int8_t *row = c->in + ((ptrdiff_t)y * w->in_w + x) * w->in_c;
        int32_t sum = 0;
        for (int32_t ky = 0; ky < w->kernel_h; ++ky) {
            sum += mcugen_codes_column_wide(row, c->in_bytes, to, w->row_bytes >> 2, 2, c->shift);
            to += c->in_bytes == 2 ? w->row_bytes >> 1 : w->row_bytes;
            row += (ptrdiff_t)w->dilation_h * w->in_w * w->in_c;
        }
        return sum;
    }
    mcugen_window_s8(w, c->in, y, x, c->staged);
    return mcugen_codes_column_wide(c->staged, c->in_bytes, to, 2 * c->steps * c->in_bytes, 2, c->shift);
}

#endif /* MCUGEN_CODES_S16_DSP_H */
