/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise 3x3 convolution, int8, any stride and padding, one output a channel, for cores with MVE.
 *
 * Three rows of the image at a time lie in scratch with their padding, so that every window is whole and the output may follow
 * the input closely.  8 channels of a pixel are computed at once; the arithmetic and the weight stream are those of
 * depthwise_pixel_s8_mve.h with `pairs` 1 and `any` 0: two taps of a row are added in 16 bits, the third in 32. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_S8_MVE_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_S8_MVE_H

#include "depthwise_pixel_s8_mve.h"

/* in [in_h][in_w][in_c], out [out_h][out_w][in_c]; scratch 3 * row_bytes + 16 bytes, row_bytes = ((out_w - 1) * stride_w + 3) *
 * in_c rounded up to 4, and 16.  Up to 15 bytes behind the input are read where in_w * in_c is no multiple of 16. */
struct mcugen_depthwise_conv2d_3x3_s8_mve {
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t in_zero_point, out_zero_point;
    int32_t act_min, act_max;
    const int32_t *weights;
};

/* A row of pixels; `in` are the three rows at the first window's left end. */
struct mcugen_depthwise_row_mve {
    const int8_t *in[3];
    int8_t *out;
    const int32_t *weights;
    int32_t channels;
    int32_t pixel_step; /* bytes from a window to the next */
    int32_t pixels;     /* at least 1 */
    int32_t zero_point; /* of the output */
};

MCUGEN_SHARED void mcugen_depthwise_row_3x3_mve(const struct mcugen_depthwise_row_mve *p);

#if MCUGEN_HAVE_MVE

/* q0, q1 sums of the even and odd channels; r5 weights, r8 channels, which are the bytes from a tap to the next */
#define MCUGEN_MVE_DEPTHWISE_ROW(row)                                                                                  \
    "adds r3, " row ", r8\n\t"                                                                                         \
    "vldrb.s16 q2, [" row "], #8\n\t"                                                                                  \
    "vldrb.s16 q3, [r5], #8\n\t"                                                                                       \
    "vldrb.s16 q4, [r3]\n\t"                                                                                           \
    "vmul.i16 q2, q2, q3\n\t"                                                                                          \
    "vldrb.s16 q5, [r5], #8\n\t"                                                                                       \
    "vmul.i16 q4, q4, q5\n\t"                                                                                          \
    "add r3, r3, r8\n\t"                                                                                               \
    "vadd.i16 q2, q2, q4\n\t"                                                                                          \
    "vldrb.s16 q4, [r3]\n\t"                                                                                           \
    "vmovlb.s16 q3, q2\n\t"                                                                                            \
    "vldrb.s16 q5, [r5], #8\n\t"                                                                                       \
    "vadd.i32 q0, q0, q3\n\t"                                                                                          \
    "vmovlt.s16 q3, q2\n\t"                                                                                            \
    "vadd.i32 q1, q1, q3\n\t"                                                                                          \
    "vmullb.s16 q3, q4, q5\n\t"                                                                                        \
    "vadd.i32 q0, q0, q3\n\t"                                                                                          \
    "vmullt.s16 q3, q4, q5\n\t"                                                                                        \
    "vadd.i32 q1, q1, q3\n\t"

/* r0, r1, r2 rows, r4 out, r6 channels left, r7 zero point, r9 pixels left, r10 and r11 from the end of a pixel's channels,
 * rounded up to 8, to the next window and the next output, r12 blocks of 8 channels, lr those left; the weights' start is on
 * the stack. */
MCUGEN_SHARED void mcugen_depthwise_row_3x3_mve(const struct mcugen_depthwise_row_mve *row)
{
    register const struct mcugen_depthwise_row_mve *p __asm__("r0") = row;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d11}\n\t"
        "ldrd r4, r5, [r0, #12]\n\t"
        "ldrd r8, r10, [r0, #20]\n\t"
        "ldrd r9, r7, [r0, #28]\n\t"
        "ldrd r1, r2, [r0, #4]\n\t"
        "ldr r0, [r0]\n\t"
        "sub sp, sp, #8\n\t"
        "str r5, [sp]\n\t"
        "add r12, r8, #7\n\t"
        "bic r3, r12, #7\n\t"
        "lsr r12, r12, #3\n\t"
        "sub r10, r10, r3\n\t"
        "sub r11, r8, r3\n"
        "1:\n\t"
        "mov r6, r8\n\t"
        "dls lr, r12\n"
        "2:\n\t"
        "vldrw.32 q0, [r5], #16\n\t"
        "vldrw.32 q1, [r5], #16\n\t" /* */
        MCUGEN_MVE_DEPTHWISE_ROW("r0") MCUGEN_MVE_DEPTHWISE_ROW("r1") MCUGEN_MVE_DEPTHWISE_ROW("r2")
        "vldrw.32 q2, [r5], #16\n\t"
        "vldrw.32 q3, [r5], #16\n\t"
        "vqrdmlash.s32 q0, q2, r7\n\t"
        "vqrdmlash.s32 q1, q3, r7\n\t"
        "vqmovnb.s32 q0, q0\n\t"
        "vqmovnt.s32 q0, q1\n\t"
        "vqmovnb.s16 q0, q0\n\t"
        "vctp.16 r6\n\t"
        "vpst\n\t"
        "vstrbt.16 q0, [r4], #8\n\t"
        "subs r6, #8\n\t"
        "le lr, 2b\n\t"
        "ldr r5, [sp]\n\t"
        "add r0, r0, r10\n\t"
        "add r1, r1, r10\n\t"
        "add r2, r2, r10\n\t"
        "add r4, r4, r11\n\t"
        "subs r9, r9, #1\n\t"
        "bne 1b\n\t"
        "add sp, sp, #8\n\t"
        "vpop {d8-d11}\n\t"
        "pop {r4-r11, lr}\n\t"
        : "+r"(p)
        :
        : "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory");
}
#undef MCUGEN_MVE_DEPTHWISE_ROW

#else

MCUGEN_SHARED void mcugen_depthwise_row_3x3_mve(const struct mcugen_depthwise_row_mve *p)
{
    for (int32_t x = 0; x < p->pixels; ++x) {
        const int32_t *w = p->weights;
        for (int32_t c = 0; c < p->channels; c += 8, w += 34) {
            struct mcugen_depthwise_sums s = {mcugen_load_w32x4(w), mcugen_load_w32x4(w + 4)};
            for (int32_t ky = 0; ky < 3; ++ky) {
                const int8_t *in = p->in[ky] + x * p->pixel_step + c;
                const int8_t *weights = (const int8_t *)(w + 8) + 24 * ky;
                s = mcugen_depthwise_two_taps(s, in, p->channels, weights);
                s = mcugen_depthwise_one_tap(s, in + 2 * p->channels, weights + 16);
            }
            mcugen_depthwise_store(s, w + 26, p->zero_point, false, p->out + x * p->channels + c, p->channels - c);
        }
    }
}

#endif

/* Row y of the image, or what lies above or below it, with its padding. */
static MCUGEN_MVE_INLINE void mcugen_depthwise_load_row_mve(const struct mcugen_depthwise_conv2d_3x3_s8_mve *p, const int8_t *in,
                                                            int32_t y, int8_t *to)
{
    const int32_t columns = (p->out_w - 1) * p->stride_w + 3;
    if (y < 0 || y >= p->in_h) {
        (void)mcugen_fill_over_s8(to, p->in_zero_point, columns * p->in_c);
        return;
    }
    const int32_t room = columns - p->pad_left;
    const int32_t count = room < p->in_w ? room : p->in_w;
    to = mcugen_fill_over_s8(to, p->in_zero_point, p->pad_left * p->in_c);
    to = mcugen_copy_over_s8(to, in + (ptrdiff_t)y * p->in_w * p->in_c, count * p->in_c);
    (void)mcugen_fill_over_s8(to, p->in_zero_point, (room - count) * p->in_c);
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_s8_mve(const struct mcugen_depthwise_conv2d_3x3_s8_mve *p,
                                                             const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t row_bytes = ((((p->out_w - 1) * p->stride_w + 3) * p->in_c + 3) & ~3) + 16;
    int8_t *rows = (int8_t *)scratch;
    struct mcugen_depthwise_row_mve row = {
        .in = {rows, rows + row_bytes, rows + 2 * row_bytes}, .out = out, .weights = p->weights, .channels = p->in_c,
        .pixel_step = p->stride_w * p->in_c, .pixels = p->out_w, .zero_point = p->out_zero_point,
    };
    int32_t next = -p->pad_top;
    int32_t behind = 3;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t i = behind; i > 0; --i, ++next) {
            int8_t *oldest = rows + (row.in[0] - rows);
            mcugen_depthwise_load_row_mve(p, in, next, oldest);
            row.in[0] = row.in[1];
            row.in[1] = row.in[2];
            row.in[2] = oldest;
        }
        behind = p->stride_h;
        mcugen_depthwise_row_3x3_mve(&row);
        row.out += p->out_w * p->in_c;
    }
    mcugen_clamp_s8_mve(out, p->out_h * p->out_w * p->in_c, p->act_min, p->act_max);
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_S8_MVE_H */
