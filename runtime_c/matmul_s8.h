/* SPDX-License-Identifier: Apache-2.0 */
/* Product of two computed matrices, int8, with batches: plain C for every core. */
#ifndef MCUGEN_MATMUL_S8_H
#define MCUGEN_MATMUL_S8_H

#include "fixed_point.h"

/* in1 [..][rows][depth], in2 [..][depth][columns] (its entries row_step2 and column_step2 apart), out [..][rows][columns];
 * acc = sum((in1 - zero_point1) * (in2 - zero_point2)).  batch_0 x batch_1 matrices; a stride is 0 along a batch axis over
 * which an operand is broadcast.  depth <= 33025, so that the sum fits 32 bits. */
struct mcugen_matmul_s8 {
    int32_t batch_0, batch_1;
    int32_t stride1_0, stride1_1, stride2_0, stride2_1;
    int32_t rows, depth, columns;
    int32_t row_step2, column_step2;
    int32_t zero_point1, zero_point2, out_zero_point;
    int32_t multiplier, shift;
    int32_t act_min, act_max;
};

static MCUGEN_INLINE int8_t *mcugen_matmul_one_s8(const struct mcugen_matmul_s8 *p, const int8_t *in1, const int8_t *in2,
                                                  int8_t *out)
{
    for (int32_t row = 0; row < p->rows; ++row) {
        for (int32_t column = 0; column < p->columns; ++column) {
            const int8_t *b = in2 + (ptrdiff_t)column * p->column_step2;
            int32_t acc = 0;
            for (int32_t k = 0; k < p->depth; ++k) {
                acc += (in1[k] - p->zero_point1) * (b[(ptrdiff_t)k * p->row_step2] - p->zero_point2);
            }
            *out++ = mcugen_requantize_s8(acc, p->multiplier, p->shift, p->out_zero_point, p->act_min, p->act_max);
        }
        in1 += p->depth;
    }
    return out;
}

static MCUGEN_INLINE void mcugen_matmul_s8(const struct mcugen_matmul_s8 *p, const int8_t *in1, const int8_t *in2,
                                           int8_t *out, void *scratch)
{
    (void)scratch;
    for (int32_t i = 0; i < p->batch_0; ++i) {
        for (int32_t j = 0; j < p->batch_1; ++j) {
            const ptrdiff_t start1 = (ptrdiff_t)i * p->stride1_0 + (ptrdiff_t)j * p->stride1_1;
            const ptrdiff_t start2 = (ptrdiff_t)i * p->stride2_0 + (ptrdiff_t)j * p->stride2_1;
            out = mcugen_matmul_one_s8(p, in1 + start1, in2 + start2, out);
        }
    }
}

#endif /* MCUGEN_MATMUL_S8_H */
