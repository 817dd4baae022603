/* SPDX-License-Identifier: Apache-2.0 */
/* The columns that matvec_int4_s8_dsp.h and matmul_int4_s8_dsp.h read. */
#ifndef MCUGEN_COLUMN_INT4_S8_DSP_H
#define MCUGEN_COLUMN_INT4_S8_DSP_H

#include <stdint.h>

#include "simd.h"

/* For each of `count` groups of 4 inputs two words of a column, 8 X and 128 Y - 8 X as in matvec_int4_s8_dsp.h, `gap` words
 * apart; the next group's lie 2 * gap words on.  Returns 1024 times the sum of the inputs in odd places. */
MCUGEN_SHARED int32_t mcugen_column_int4_s8_dsp(const int8_t *in, uint32_t *column, int32_t count, int32_t gap)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; ++i) {
        const uint32_t v = mcugen_load32(in);
        const uint32_t even = (mcugen_sxtb16(v) << 3) & 0xfff8fff8u;
        const uint32_t odd = (mcugen_sxtb16_ror8(v) << 7) & 0xff80ff80u;
        sum = mcugen_smlad(odd, 0x00080008u, sum);
        column[0] = even;
        column[gap] = mcugen_ssub16(odd, even);
        column += 2 * gap;
        in += 4;
    }
    return sum;
}

#endif /* MCUGEN_COLUMN_INT4_S8_DSP_H */
