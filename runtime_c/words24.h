/* SPDX-License-Identifier: Apache-2.0 */
/* Four numbers of 24 bits in three words: those of the first three in the upper bytes, and that of the fourth in the
 * lowest bytes, the lowest first. */
#ifndef MCUGEN_WORDS24_H
#define MCUGEN_WORDS24_H

#include <stdint.h>

#include "mcugen.h"

/* Number 0..3 of the three words at `w`. */
static MCUGEN_INLINE uint32_t mcugen_number24(const uint32_t *w, int32_t which)
{
    if (which < 3) {
        return w[which] >> 8;
    }
    return (w[0] & 0xffu) | (w[1] & 0xffu) << 8 | (w[2] & 0xffu) << 16;
}

#endif /* MCUGEN_WORDS24_H */
