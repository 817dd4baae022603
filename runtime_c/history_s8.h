/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that stay from one run to the next, int8: they move to where the next run reads them. */
#ifndef MCUGEN_HISTORY_S8_H
#define MCUGEN_HISTORY_S8_H

#include "mcugen.h"

/* size bytes go from in down to out; the two may overlap. aligned: both addresses and size are multiples of 4. */
struct mcugen_history_s8 {
    int32_t size, aligned;
};

struct mcugen_history_words {
    uint32_t word[4];
};

static MCUGEN_INLINE void mcugen_history_s8(const struct mcugen_history_s8 *p, const int8_t *in, int8_t *out,
                                            void *scratch)
{
    (void)scratch;
    int32_t i = 0;
    if (p->aligned != 0) {
        for (; i + 16 <= p->size; i += 16) {
            struct mcugen_history_words words;
            __builtin_memcpy(&words, __builtin_assume_aligned(in + i, 4), sizeof words);
            __builtin_memcpy(__builtin_assume_aligned(out + i, 4), &words, sizeof words);
        }
    }
    for (; i < p->size; ++i) {
        out[i] = in[i];
    }
}

#endif /* MCUGEN_HISTORY_S8_H */
