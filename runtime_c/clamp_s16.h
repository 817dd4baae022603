/* SPDX-License-Identifier: Apache-2.0 */
/* How kernels for int16 store their results, and the explicit bounds that storing does not keep. */
#ifndef MCUGEN_CLAMP_S16_H
#define MCUGEN_CLAMP_S16_H

#include "element_s16.h"

/* How results are stored: as int8, as int16, or as int16 from 0 up (a relu). */
#define MCUGEN_STORE_S8 0
#define MCUGEN_STORE_S16 1
#define MCUGEN_STORE_U15 2

static MCUGEN_INLINE int32_t mcugen_store_low(int32_t store)
{
    return store == MCUGEN_STORE_S8 ? -128 : (store == MCUGEN_STORE_S16 ? -32768 : 0);
}

static MCUGEN_INLINE int32_t mcugen_store_high(int32_t store)
{
    return store == MCUGEN_STORE_S8 ? 127 : 32767;
}

/* What storing keeps of a value. */
static MCUGEN_INLINE int32_t mcugen_saturate_stored(int32_t value, int32_t store)
{
#if MCUGEN_HAVE_DSP
    if (store == MCUGEN_STORE_S8) {
        __asm__("ssat %0, #8, %0" : "+r"(value));
    } else if (store == MCUGEN_STORE_S16) {
        __asm__("ssat %0, #16, %0" : "+r"(value));
    } else {
        __asm__("usat %0, #15, %0" : "+r"(value));
    }
    return value;
#else
    return mcugen_clamp(value, mcugen_store_low(store), mcugen_store_high(store));
#endif
}

/* No code where the bounds are those of storing. */
static MCUGEN_INLINE void mcugen_clamp_stored(int8_t *data, int32_t count, int32_t low, int32_t high, int32_t store)
{
    if (low > mcugen_store_low(store) || high < mcugen_store_high(store)) {
        const int32_t bytes = store == MCUGEN_STORE_S8 ? 1 : 2;
        for (int32_t i = 0; i < count; ++i) {
            mcugen_put(data, i, mcugen_clamp(mcugen_element(data, i, bytes), low, high), bytes);
        }
    }
}

#endif /* MCUGEN_CLAMP_S16_H */
