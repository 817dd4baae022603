/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of one channel of a depthwise convolution, two at a time; the arithmetic of requantization is that of
 * matmul_s8_scalar.h.
 *
 * Arithmetic.  A word holds the activations of one tap of two outputs, one below the other: a + 2^16 * b.  With two
 * weights whose magnitudes add up to at most 255, the sum P of two products w * (a + 2^16 * b) has the second output's
 * part in its upper half, once the lower half, within int16, is rounded away.  The second output is the sum H of those
 * halves; the first is the sum of all P less 2^16 * H, exactly modulo 2^32.
 *
 * A strip holds the words of two output rows: for every input column kernel_h words, so that the taps of an output
 * follow one another.
 */
#ifndef MCUGEN_DEPTHWISE_ROWS_S8_SCALAR_H
#define MCUGEN_DEPTHWISE_ROWS_S8_SCALAR_H

#include <stdint.h>

#include "matmul_s8_scalar.h"

/* Pairs of taps in one turn of the loop; 16 bytes of code each. */
#define MCUGEN_DEPTHWISE_UNROLL 5

struct mcugen_depthwise_rows_s8_scalar {
    const uint32_t *strip;
    int32_t strip_step;         /* bytes of a strip from one output to the next */
    const int32_t *weights;     /* of all taps, an even number of words, the last filled up with 0 */
    const int32_t *weights_end; /* at least 2 words behind */
    int32_t bias;
    uint32_t multiplier;
    int32_t rounding; /* mcugen_scalar_rounding */
    int8_t *out;      /* the first row's outputs */
    int8_t *out_end;  /* where the first row's next output would be */
    int32_t out_step;
    int32_t out_stride; /* bytes from the first row to the second; 0: only the first is kept */
    int32_t skip;       /* pairs of taps to the next multiple of MCUGEN_DEPTHWISE_UNROLL */
};

#if MCUGEN_USE_THUMB

/* r0 strip, r1 weights, r2 r3 activations, r4 r5 weights, r6 sum of the upper halves, r7 of all products; r8 r9 their
 * initial values, r10 end of the weights, r11 strip, r12 rounding, lr out.
 * Stack: 0 weights, 4 where the loop is entered, 8 multiplier, 12 out stride, 16 out step, 20 end of out, 24 strip step.
 */
MCUGEN_SHARED void mcugen_depthwise_rows_s8_scalar(const struct mcugen_depthwise_rows_s8_scalar *m)
{
    register const struct mcugen_depthwise_rows_s8_scalar *p __asm__("r0") = m;
    __asm__ volatile(
        MCUGEN_SCALAR_SAVE
        "ldmia.n r0!, {r1-r7}\n\t"
        "mov r11, r1\n\t"
        "str r2, [sp, #24]\n\t"
        "str r3, [sp, #0]\n\t"
        "mov r10, r4\n\t"
        "mov r9, r5\n\t"
        "lsls r1, r5, #16\n\t"
        "adds r1, r1, r5\n\t"
        "mov r8, r1\n\t"
        "str r6, [sp, #8]\n\t"
        "mov r12, r7\n\t"
        "ldmia.n r0!, {r1-r5}\n\t"
        "mov lr, r1\n\t"
        "str r2, [sp, #20]\n\t"
        "str r3, [sp, #16]\n\t"
        "str r4, [sp, #12]\n\t"
        "lsls r5, r5, #4\n\t"
        "adr r1, 2f\n\t"
        "adds r1, r1, r5\n\t"
        "adds r1, r1, #1\n\t"
        "str r1, [sp, #4]\n"
        "1:\n\t"
        "mov r7, r8\n\t"
        "mov r6, r9\n\t"
        "mov r0, r11\n\t"
        "ldr r1, [sp, #0]\n\t"
        "ldr r2, [sp, #4]\n\t"
        "bx r2\n\t"
        ".balign 4\n"
        "2:\n\t"
        ".rept 5\n\t"
        "ldmia.n r0!, {r2, r3}\n\t"
        "ldmia.n r1!, {r4, r5}\n\t"
        "muls r2, r4, r2\n\t"
        "muls r3, r5, r3\n\t"
        "adds r2, r2, r3\n\t"
        "adds r7, r7, r2\n\t"
        "asrs r2, r2, #16\n\t"
        "adcs r6, r2\n\t"
        ".endr\n\t"
        "cmp r1, r10\n\t"
        "bne 2b\n\t"
        "lsls r2, r6, #16\n\t"
        "subs r7, r7, r2\n\t"
        "ldr r4, [sp, #8]\n\t"
        "lsrs r5, r4, #8\n\t"
        MCUGEN_SCALAR_REQUANTIZE("r7", "5f", "3")
        MCUGEN_SCALAR_REQUANTIZE("r6", "6f", "4")
        "subs r6, r6, #128\n\t"
        "subs r7, r7, #128\n\t"
        "mov r0, lr\n\t"
        "ldr r2, [sp, #12]\n\t"
        "strb r6, [r0, r2]\n\t"
        "strb r7, [r0]\n\t"
        "ldr r2, [sp, #24]\n\t"
        "add r11, r2\n\t"
        "ldr r2, [sp, #16]\n\t"
        "adds r0, r0, r2\n\t"
        "mov lr, r0\n\t"
        "ldr r2, [sp, #20]\n\t"
        "cmp r0, r2\n\t"
        "beq 7f\n\t"
        "b 1b\n"
        MCUGEN_SCALAR_SATURATE("r7", "5", "3b")
        MCUGEN_SCALAR_SATURATE("r6", "6", "4b")
        "7:\n\t"
        MCUGEN_SCALAR_RESTORE
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The C twin of the assembly. */
MCUGEN_SHARED void mcugen_depthwise_rows_s8_scalar(const struct mcugen_depthwise_rows_s8_scalar *m)
{
    const uint32_t *strip = m->strip;
    for (int8_t *out = m->out; out != m->out_end; out += m->out_step) {
        uint32_t all = (uint32_t)m->bias * 0x10001u;
        int32_t second = m->bias;
        const uint32_t *x = strip;
        for (const int32_t *w = m->weights; w != m->weights_end; w += 2) {
            const uint32_t product = (uint32_t)w[0] * x[0] + (uint32_t)w[1] * x[1];
            all += product;
            second += mcugen_upper_half(product);
            x += 2;
        }
        const int32_t first = (int32_t)(all - ((uint32_t)second << 16));
        out[m->out_stride] = mcugen_requantize_scalar(second, m->multiplier, m->rounding);
        out[0] = mcugen_requantize_scalar(first, m->multiplier, m->rounding);
        strip += m->strip_step >> 2;
    }
}

#endif

/* Where strips come from; y is the input row of an output row's first tap. */
struct mcugen_strip_s8_scalar {
    int32_t in_h, in_w, in_c;
    int32_t kernel_h, stride_h, dilation_h;
    int32_t pad_left, columns; /* the first column lies at -pad_left */
    int32_t zero_point;
};

/* One channel's strip of the output rows that begin at input rows y and y + stride_h. */
MCUGEN_SHARED void mcugen_strip_s8_scalar(const struct mcugen_strip_s8_scalar *p, const int8_t *in, int32_t y,
                                          uint32_t *strip)
{
    const int8_t outside = (int8_t)p->zero_point;
    const uint32_t padding = (uint32_t)p->zero_point * 0x10001u;
    const int32_t words = p->kernel_h;
    const int32_t space = p->columns - p->pad_left;
    const int32_t inside = space < p->in_w ? space : p->in_w;
    const int32_t row_bytes = p->in_w * p->in_c;
    for (int32_t ky = 0; ky < words; ++ky, y += p->dilation_h) {
        const int32_t below = y + p->stride_h;
        const bool first = y >= 0 && y < p->in_h;
        const bool second = below >= 0 && below < p->in_h;
        const int8_t *a = first ? in + y * row_bytes : &outside;
        const int8_t *b = second ? in + below * row_bytes : &outside;
        const int32_t a_step = first ? p->in_c : 0;
        const int32_t b_step = second ? p->in_c : 0;
        uint32_t *to = strip + ky;
        for (int32_t n = p->pad_left; n > 0; --n) {
            *to = padding;
            to += words;
        }
        for (int32_t n = inside; n > 0; --n) {
            *to = (uint32_t)*a + ((uint32_t)*b << 16);
            a += a_step;
            b += b_step;
            to += words;
        }
        for (int32_t n = space - inside; n > 0; --n) {
            *to = padding;
            to += words;
        }
    }
}

#endif /* MCUGEN_DEPTHWISE_ROWS_S8_SCALAR_H */
