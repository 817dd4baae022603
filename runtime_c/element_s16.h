/* SPDX-License-Identifier: Apache-2.0 */
/* Activations of one or two bytes: what kernels that read or write int16 share.  Pointers are to int8_t, as of every kernel. */
#ifndef MCUGEN_ELEMENT_S16_H
#define MCUGEN_ELEMENT_S16_H

#include <stddef.h>
#include <stdint.h>

#include "fixed_point.h"

/* An int16 in memory that also holds other types. */
typedef int16_t __attribute__((may_alias)) mcugen_int16;

static MCUGEN_INLINE const mcugen_int16 *mcugen_in_s16(const int8_t *in)
{
    return (const mcugen_int16 *)(const void *)in;
}

static MCUGEN_INLINE mcugen_int16 *mcugen_out_s16(int8_t *out)
{
    return (mcugen_int16 *)(void *)out;
}

/* Element i of a tensor whose elements take `bytes`: 1 for int8, 2 for int16. */
static MCUGEN_INLINE int32_t mcugen_element(const int8_t *in, ptrdiff_t i, int32_t bytes)
{
    return bytes == 2 ? mcugen_in_s16(in)[i] : in[i];
}

static MCUGEN_INLINE void mcugen_put(int8_t *out, ptrdiff_t i, int32_t value, int32_t bytes)
{
    if (bytes == 2) {
        mcugen_out_s16(out)[i] = (int16_t)value;
    } else {
        out[i] = (int8_t)value;
    }
}

/* Two int16 times 2^shift, which they can hold. */
static MCUGEN_INLINE uint32_t mcugen_shift_pair(uint32_t pair, int32_t shift)
{
    if (shift == 0) {
        return pair;
    }
    return ((pair & 0xffff0000u) << shift) | ((pair << shift) & 0xffffu);
}

/* Two neighbouring values as two int16. */
static MCUGEN_INLINE uint32_t mcugen_pair_s16(const int8_t *in, int32_t bytes)
{
    if (bytes == 2) {
        return mcugen_load32(in);
    }
    return (uint32_t)(uint16_t)in[0] | (uint32_t)(uint16_t)in[1] << 16;
}

#endif /* MCUGEN_ELEMENT_S16_H */
