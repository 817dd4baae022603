/* SPDX-License-Identifier: Apache-2.0 */
/* Four numbers of 24 bits in three words: those of the first three in the upper bytes, and that of the fourth in the
 * lowest bytes, the lowest first. */
#ifndef MCUGEN_WORDS24_H
#define MCUGEN_WORDS24_H

#include <stdint.h>

#include "mcugen.h"
#include "simd.h"

/* Number 0..3 of the three words at `w`. */
static MCUGEN_INLINE uint32_t mcugen_number24(const uint32_t *w, int32_t which)
{
    if (which < 3) {
        return w[which] >> 8;
    }
    return (w[0] & 0xffu) | (w[1] & 0xffu) << 8 | (w[2] & 0xffu) << 16;
}

/* The C twin of the blocks of 4 (or 1) channels: their initial accumulators from `w`, 3 words (or 1); returns how many. */
static MCUGEN_INLINE int32_t mcugen_initial24(const uint32_t *w, int32_t rows, int32_t *acc)
{
    for (int32_t r = 0; r < rows; ++r) {
        acc[r] = (int32_t)(r < 3 ? w[r] : mcugen_number24(w, 3) << 8);
    }
    return rows == 4 ? 3 : 1;
}

/* The accumulators of such a block, requantized by the multipliers at `w`, as many words. */
static MCUGEN_INLINE void mcugen_requantize24(const uint32_t *w, int32_t rows, const int32_t *acc, int32_t zero_point, int8_t *out)
{
    for (int32_t r = 0; r < rows; ++r) {
        const uint32_t multiplier = rows == 4 ? mcugen_number24(w, r) : w[r];
        out[r] = (int8_t)mcugen_ssat8(mcugen_smmlar(acc[r] & ~255, (int32_t)multiplier, zero_point));
    }
}

#endif /* MCUGEN_WORDS24_H */
