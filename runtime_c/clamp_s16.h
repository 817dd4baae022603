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

/* int16 below 0 become 0. */
static MCUGEN_INLINE void mcugen_relu_s16(int8_t *data, int32_t count)
{
    int32_t i = 0;
#if MCUGEN_HAVE_DSP
    for (; i + 8 <= count; i += 8, data += 16) {
        uint32_t a = mcugen_load32(data);
        uint32_t b = mcugen_load32(data + 4);
        uint32_t c = mcugen_load32(data + 8);
        uint32_t d = mcugen_load32(data + 12);
        __asm__("usat16 %0, #15, %0" : "+r"(a));
        __asm__("usat16 %0, #15, %0" : "+r"(b));
        __asm__("usat16 %0, #15, %0" : "+r"(c));
        __asm__("usat16 %0, #15, %0" : "+r"(d));
        mcugen_store32(data, a);
        mcugen_store32(data + 4, b);
        mcugen_store32(data + 8, c);
        mcugen_store32(data + 12, d);
    }
#endif
    for (; i < count; ++i, data += 2) {
        mcugen_put(data, 0, mcugen_clamp(mcugen_element(data, 0, 2), 0, 32767), 2);
    }
}

/* No code where the bounds are those of storing. */
static MCUGEN_INLINE void mcugen_clamp_stored(int8_t *data, int32_t count, int32_t low, int32_t high, int32_t store)
{
    if (store == MCUGEN_STORE_S16 && low == 0 && high == 32767) {
        mcugen_relu_s16(data, count);
    } else if (low > mcugen_store_low(store) || high < mcugen_store_high(store)) {
        const int32_t bytes = store == MCUGEN_STORE_S8 ? 1 : 2;
        for (int32_t i = 0; i < count; ++i) {
            mcugen_put(data, i, mcugen_clamp(mcugen_element(data, i, bytes), low, high), bytes);
        }
    }
}

#endif /* MCUGEN_CLAMP_S16_H */
