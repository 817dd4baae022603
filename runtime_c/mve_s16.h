/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 8 int16 from memory of int8 or int16, and back: the MVE instructions where the core has them, plain C elsewhere. */
#ifndef MCUGEN_MVE_S16_H
#define MCUGEN_MVE_S16_H

#include "element_s16.h"
#include "mve.h"

#if MCUGEN_HAVE_MVE

/* The first `count` of 8 values, all where it is 8 or more, and zeros; at any address. */
static MCUGEN_INLINE mcugen_s16x8 mcugen_load_wide(const int8_t *from, int32_t bytes, int32_t count)
{
    if (bytes == 1) {
        return mcugen_load_first_s16x8(from, count);
    }
    return vreinterpretq_s16_s8(vldrbq_z_s8(from, vctp8q((uint32_t)(2 * count))));
}

/* The same values back to memory, of which int8 takes the low bytes. */
static MCUGEN_INLINE void mcugen_store_wide(int8_t *to, mcugen_s16x8 v, int32_t bytes, int32_t count)
{
    if (bytes == 1) {
        mcugen_store_first_s16x8(to, v, count);
    } else {
        vstrbq_p_s8(to, vreinterpretq_s8_s16(v), vctp8q((uint32_t)(2 * count)));
    }
}

/* 8 lanes saturated to 16 bits, from the even and the odd ones. */
static MCUGEN_INLINE mcugen_s16x8 mcugen_saturate_s16x8(mcugen_s32x4 even, mcugen_s32x4 odd)
{
    return vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), even), odd);
}

#else

static MCUGEN_MVE_INLINE mcugen_s16x8 mcugen_load_wide(const int8_t *from, int32_t bytes, int32_t count)
{
    mcugen_s16x8 v;
    for (int32_t i = 0; i < 8; ++i) {
        v.lane[i] = (int16_t)(i < count ? mcugen_element(from, i, bytes) : 0);
    }
    return v;
}

static MCUGEN_MVE_INLINE void mcugen_store_wide(int8_t *to, mcugen_s16x8 v, int32_t bytes, int32_t count)
{
    for (int32_t i = 0; i < 8 && i < count; ++i) {
        mcugen_put(to, i, v.lane[i], bytes);
    }
}

static MCUGEN_MVE_INLINE mcugen_s16x8 mcugen_saturate_s16x8(mcugen_s32x4 even, mcugen_s32x4 odd)
{
    mcugen_s16x8 v;
    for (int32_t i = 0; i < 8; ++i) {
        v.lane[i] = (int16_t)mcugen_clamp(i % 2 ? odd.lane[i / 2] : even.lane[i / 2], -32768, 32767);
    }
    return v;
}

#endif

/* 8 lanes within bounds. */
static MCUGEN_MVE_INLINE mcugen_s16x8 mcugen_bound_s16x8(mcugen_s16x8 v, int32_t low, int32_t high)
{
    return mcugen_min_s16x8(mcugen_max_s16x8(v, mcugen_dup_s16x8(low)), mcugen_dup_s16x8(high));
}

#endif /* MCUGEN_MVE_S16_H */
