/* SPDX-License-Identifier: Apache-2.0 */
/* Which taps of a window fall inside an image, along one axis. */
#ifndef MCUGEN_WINDOW_H
#define MCUGEN_WINDOW_H

#include <stdint.h>

#include "mcugen.h"

/* The first tap at or after position 0, for a window whose tap k lies at start + k * dilation. */
static MCUGEN_INLINE int32_t mcugen_first_tap(int32_t start, int32_t dilation)
{
    return start < 0 ? (dilation - 1 - start) / dilation : 0;
}

/* One past the last tap before position size, at most kernel. */
static MCUGEN_INLINE int32_t mcugen_end_tap(int32_t start, int32_t dilation, int32_t size, int32_t kernel)
{
    const int32_t inside = size > start ? (size - start + dilation - 1) / dilation : 0;
    return inside < kernel ? inside : kernel;
}

#endif /* MCUGEN_WINDOW_H */
