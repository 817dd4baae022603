/* SPDX-License-Identifier: Apache-2.0 */
/* The columns that matvec_int4_s8_dsp.h and matmul_int4_s8_dsp.h read. */
#ifndef MCUGEN_COLUMN_INT4_S8_DSP_H
#define MCUGEN_COLUMN_INT4_S8_DSP_H

#include <stdint.h>

#include "simd.h"

/* Four words of `column`, `stride` words behind each other in pairs, for 4 * count inputs; returns sum + 1024 times the sum of
 * the inputs in odd places, modulo 2^32.  X and Y as in matvec_int4_s8_dsp.h. */
MCUGEN_SHARED int32_t mcugen_column_int4_s8_dsp(const int8_t *in, uint32_t *column, int32_t count, int32_t stride)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; ++i) {
        const uint32_t v = mcugen_load32(in);
        const uint32_t even = (mcugen_sxtb16(v) << 3) & 0xfff8fff8u;
        const uint32_t odd = (mcugen_sxtb16_ror8(v) << 7) & 0xff80ff80u;
        sum = mcugen_smlad(odd, 0x00080008u, sum);
        column[0] = even;
        column[1] = mcugen_ssub16(odd, even);
        column += stride;
        in += 4;
    }
    return sum;
}

#endif /* MCUGEN_COLUMN_INT4_S8_DSP_H */
