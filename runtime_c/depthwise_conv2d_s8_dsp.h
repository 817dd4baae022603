/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution, int8, channels-last, any kernel, stride, dilation, padding and multiplier, on cores with the DSP
 * instructions: for one output pixel, 4 input channels and two taps at a time. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_S8_DSP_H
#define MCUGEN_DEPTHWISE_CONV2D_S8_DSP_H

#include <stdbool.h>

#include "clamp_s8.h"
#include "fixed_point.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][in_c * channel_multiplier].  Reads up to 3 bytes past the input's end.
 * weights: for every 4 input channels and each of their channel_multiplier outputs: bias[4]; for every two taps a and b
 * (kernel_h * kernel_w, filled up with a zero weight) bytes {w[0][a] w[1][a] w[0][b] w[1][b]} and {w[2][a] w[3][a] w[2][b]
 * w[3][b]}; multiplier[4]; bytes shift[4].
 * scratch: 4 bytes a tap, taps rounded up to a multiple of 2; then in_c rounded up to 4. */
struct mcugen_depthwise_conv2d_s8_dsp {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t channel_multiplier;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const uint32_t *weights;
};

struct mcugen_depthwise_pixel_s8_dsp {
    const uint32_t *taps; /* from mcugen_depthwise_tap */
    int32_t pairs; /* of taps */
    int32_t channels;
    int32_t channel_multiplier;
    int32_t out_zero_point;
    const uint32_t *weights;
    int8_t *out;
    int32_t offset;        /* bytes from the pixel that `taps` was made for to this one */
    const int8_t *in;      /* the image, for the C twin */
    const int8_t *padding; /* a pixel of zero points */
};

#if MCUGEN_HAVE_DSP

/* Where the pixel at an offset in the image lies, or, for a negative offset, the padding: its address. */
static MCUGEN_INLINE uint32_t mcugen_depthwise_tap(const struct mcugen_depthwise_pixel_s8_dsp *p, int32_t offset)
{
    return (uint32_t)(uintptr_t)(offset < 0 ? p->padding : p->in + offset);
}

/* All channels of one output pixel.  r0 taps, r1 weights, r2 offset and channel, r4-r7 accumulators, r3 r8-r12 data, lr pairs left.
 * Stack: 0 pairs, 4 taps, 8 channels left, 12 channel multiplier, 16 zero point, 20 out, 24 outputs of a channel left, 28 their
 * place. */
MCUGEN_SHARED void mcugen_depthwise_pixel_s8_dsp(const struct mcugen_depthwise_pixel_s8_dsp *pixel)
{
    register const struct mcugen_depthwise_pixel_s8_dsp *p __asm__("r0") = pixel;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldm r0, {r1-r8}\n\t"
        "str r2, [sp, #0]\n\t"
        "str r1, [sp, #4]\n\t"
        "str r3, [sp, #8]\n\t"
        "str r4, [sp, #12]\n\t"
        "str r5, [sp, #16]\n\t"
        "str r7, [sp, #20]\n\t"
        "mov r1, r6\n\t"
        "mov r2, r8\n"
        "1:\n\t"
        "ldr r3, [sp, #12]\n\t"
        "ldr r4, [sp, #20]\n\t"
        "str r3, [sp, #24]\n\t"
        "str r4, [sp, #28]\n"
        "2:\n\t"
        "ldr r0, [sp, #4]\n\t"
        "ldr lr, [sp, #0]\n\t"
        "ldm r1!, {r4-r7}\n"
        "3:\n\t"
        "ldr r8, [r0], #8\n\t"
        "ldr r9, [r0, #-4]\n\t"
        "ldr r10, [r1], #8\n\t"
        "ldr r8, [r8, r2]\n\t"
        "ldr r9, [r9, r2]\n\t"
        "ldr r11, [r1, #-4]\n\t"
        "pkhbt r12, r8, r9, lsl #16\n\t"
        "pkhtb r9, r9, r8, asr #16\n\t"
        "sxtb16 r8, r12\n\t"
        "sxtb16 r3, r10\n\t"
        "sxtb16 r12, r12, ror #8\n\t"
        "smlad r4, r8, r3, r4\n\t"
        "sxtb16 r10, r10, ror #8\n\t"
        "sxtb16 r8, r9\n\t"
        "sxtb16 r3, r11\n\t"
        "smlad r5, r12, r10, r5\n\t"
        "sxtb16 r9, r9, ror #8\n\t"
        "sxtb16 r11, r11, ror #8\n\t"
        "smlad r6, r8, r3, r6\n\t"
        "smlad r7, r9, r11, r7\n\t"
        "subs lr, lr, #1\n\t"
        "bne.n 3b\n\t"
        "ldm r1!, {r8-r12}\n\t"
        "cmp r12, #0\n\t"
        "beq.n 4f\n\t"
        "uxtb r3, r12\n\t"
        "lsl r4, r4, r3\n\t"
        "ubfx r3, r12, #8, #8\n\t"
        "lsl r5, r5, r3\n\t"
        "ubfx r3, r12, #16, #8\n\t"
        "lsl r6, r6, r3\n\t"
        "lsr r3, r12, #24\n\t"
        "lsl r7, r7, r3\n"
        "4:\n\t"
        "ldr r12, [sp, #16]\n\t"
        "ldr r0, [sp, #28]\n\t"
        "ldr r3, [sp, #12]\n\t"
        "ldr lr, [sp, #8]\n\t"
        "smmlar r4, r4, r8, r12\n\t"
        "smmlar r5, r5, r9, r12\n\t"
        "smmlar r6, r6, r10, r12\n\t"
        "smmlar r7, r7, r11, r12\n\t"
        "ssat r4, #8, r4\n\t"
        "ssat r5, #8, r5\n\t"
        "ssat r6, #8, r6\n\t"
        "ssat r7, #8, r7\n\t"
        "add r8, r0, r3, lsl #1\n\t"
        "cmp lr, #4\n\t"
        "blt.n 6f\n\t"
        "strb r4, [r0]\n\t"
        "strb r5, [r0, r3]\n\t"
        "strb r6, [r8]\n\t"
        "strb r7, [r8, r3]\n"
        "5:\n\t"
        "ldr r9, [sp, #24]\n\t"
        "add r0, r0, #1\n\t"
        "str r0, [sp, #28]\n\t"
        "subs r9, r9, #1\n\t"
        "str r9, [sp, #24]\n\t"
        "bne.w 2b\n\t"
        "ldr r4, [sp, #20]\n\t"
        "add r2, r2, #4\n\t"
        "add r4, r4, r3, lsl #2\n\t"
        "str r4, [sp, #20]\n\t"
        "subs lr, lr, #4\n\t"
        "str lr, [sp, #8]\n\t"
        "bgt.w 1b\n\t"
        "b.n 7f\n"
        "6:\n\t"
        "strb r4, [r0]\n\t"
        "cmp lr, #2\n\t"
        "blt.n 5b\n\t"
        "strb r5, [r0, r3]\n\t"
        "beq.n 5b\n\t"
        "strb r6, [r8]\n\t"
        "b.n 5b\n"
        "7:\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "cc", "memory");
}

#else

/* The same, for pointers that do not fit a word: the offset itself. */
static MCUGEN_INLINE uint32_t mcugen_depthwise_tap(const struct mcugen_depthwise_pixel_s8_dsp *p, int32_t offset)
{
    (void)p;
    return (uint32_t)offset;
}

static MCUGEN_INLINE uint32_t mcugen_depthwise_load(const struct mcugen_depthwise_pixel_s8_dsp *p, int32_t tap, int32_t c)
{
    const int32_t offset = (int32_t)p->taps[tap];
    return mcugen_load32((offset < 0 ? p->padding : p->in + offset) + p->offset + c);
}

/* The C twin of the assembly: the same reads and writes. */
MCUGEN_SHARED void mcugen_depthwise_pixel_s8_dsp(const struct mcugen_depthwise_pixel_s8_dsp *p)
{
    const uint32_t *w = p->weights;
    int8_t *out = p->out;
    for (int32_t c = 0; c < p->channels; c += 4) {
        for (int32_t k = 0; k < p->channel_multiplier; ++k) {
            int32_t acc[4] = {(int32_t)w[0], (int32_t)w[1], (int32_t)w[2], (int32_t)w[3]};
            w += 4;
            for (int32_t pair = 0; pair < p->pairs; ++pair) {
                const uint32_t a = mcugen_depthwise_load(p, 2 * pair, c);
                const uint32_t b = mcugen_depthwise_load(p, 2 * pair + 1, c);
                const uint32_t x01 = mcugen_pkhbt(a, b);
                const uint32_t x23 = mcugen_pkhtb(b, a);
                acc[0] = mcugen_smlad(mcugen_sxtb16(x01), mcugen_sxtb16(w[0]), acc[0]);
                acc[1] = mcugen_smlad(mcugen_sxtb16_ror8(x01), mcugen_sxtb16_ror8(w[0]), acc[1]);
                acc[2] = mcugen_smlad(mcugen_sxtb16(x23), mcugen_sxtb16(w[1]), acc[2]);
                acc[3] = mcugen_smlad(mcugen_sxtb16_ror8(x23), mcugen_sxtb16_ror8(w[1]), acc[3]);
                w += 2;
            }
            for (int32_t i = 0; i < 4 && i < p->channels - c; ++i) {
                const int32_t shift = (int32_t)((w[4] >> (8 * i)) & 255u);
                const int32_t value = mcugen_requantize(acc[i], (int32_t)w[i], shift, p->out_zero_point);
                out[k + i * p->channel_multiplier] = (int8_t)mcugen_ssat8(value);
            }
            w += 5;
        }
        out += 4 * p->channel_multiplier;
    }
}

#endif

/* The taps of the window whose first one lies at (y, x). */
static MCUGEN_INLINE void mcugen_depthwise_taps(const struct mcugen_depthwise_conv2d_s8_dsp *p,
                                                const struct mcugen_depthwise_pixel_s8_dsp *pixel, uint32_t *tap, int32_t y,
                                                int32_t x)
{
    for (int32_t ky = 0; ky < p->kernel_h; ++ky) {
        const int32_t row = y + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->kernel_w; ++kx) {
            const int32_t column = x + kx * p->dilation_w;
            const bool inside = row >= 0 && row < p->in_h && column >= 0 && column < p->in_w;
            *tap++ = mcugen_depthwise_tap(pixel, inside ? (row * p->in_w + column) * p->in_c : -1);
        }
    }
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_s8_dsp(const struct mcugen_depthwise_conv2d_s8_dsp *p, const int8_t *in,
                                                         int8_t *out, void *scratch)
{
    uint32_t *taps = (uint32_t *)scratch;
    const int32_t count = p->kernel_h * p->kernel_w;
    const int32_t pairs = (count + 1) >> 1;
    int8_t *padding = (int8_t *)(taps + 2 * pairs);
    struct mcugen_depthwise_pixel_s8_dsp pixel = {
        .taps = taps,
        .pairs = pairs,
        .channels = p->in_c,
        .channel_multiplier = p->channel_multiplier,
        .out_zero_point = p->out_zero_point,
        .weights = p->weights,
        .out = out,
        .in = in,
        .padding = padding,
    };
    for (int32_t i = 0; i < ((p->in_c + 3) & ~3); ++i) {
        padding[i] = (int8_t)p->in_zero_point;
    }
    const int32_t extent_h = (p->kernel_h - 1) * p->dilation_h + 1;
    const int32_t extent_w = (p->kernel_w - 1) * p->dilation_w + 1;
    for (int32_t y = -p->pad_top; y < p->out_h * p->stride_h - p->pad_top; y += p->stride_h) {
        const bool rows_inside = y >= 0 && y + extent_h <= p->in_h;
        bool known = false;
        for (int32_t x = -p->pad_left; x < p->out_w * p->stride_w - p->pad_left; x += p->stride_w) {
            const bool inside = rows_inside && x >= 0 && x + extent_w <= p->in_w;
            if (inside && known) {
                pixel.offset += p->stride_w * p->in_c;
            } else {
                mcugen_depthwise_taps(p, &pixel, taps, y, x);
                taps[2 * pairs - 1] = (count & 1) ? taps[0] : taps[count - 1]; /* its weight is zero */
                pixel.offset = 0;
                known = inside;
            }
            mcugen_depthwise_pixel_s8_dsp(&pixel);
            pixel.out += p->in_c * p->channel_multiplier;
        }
    }
    mcugen_clamp_s8(out, p->out_h * p->out_w * p->in_c * p->channel_multiplier, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_S8_DSP_H */
