/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise 3x3 convolution with int8 weights over int16, any stride and padding, one output a channel, for cores with MVE.
 *
 * Three rows of the image at a time lie in scratch with their padding, so that every window is whole and the output may follow
 * the input closely.  8 channels of a pixel are computed at once: products of a tap are widened to 32 bits and added to the sums
 * of the even and the odd channels. */
#ifndef MCUGEN_DEPTHWISE_CONV2D_3X3_S16_MVE_H
#define MCUGEN_DEPTHWISE_CONV2D_3X3_S16_MVE_H

#include "mve_s16.h"

/* in [in_h][in_w][in_c] of int16, out [out_h][out_w][in_c] of out_bytes; weights: the stream of depthwise_conv2d_s16_mve.h.
 * scratch 3 * row_bytes + 16 bytes, row_bytes = ((out_w - 1) * stride_w + 3) * in_c * 2 rounded up to 4, and 16.  Up to 15 bytes
 * behind the input are read where a row of it is no multiple of 16. */
struct mcugen_depthwise_conv2d_3x3_s16_mve {
    int32_t out_bytes;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t out_zero_point;
    int32_t act_min, act_max;
    const int32_t *weights;
};

/* A row of pixels; `in` are the three rows at the first window's left end. */
struct mcugen_depthwise_row_s16_mve {
    const int8_t *in[3];
    int8_t *out;
    const int32_t *weights;
    int32_t channels;
    int32_t pixel_step; /* bytes from a window to the next */
    int32_t pixels;     /* at least 1 */
    int32_t zero_point; /* of the output */
    int32_t low, high;  /* the output's bounds */
};

#if MCUGEN_HAVE_MVE

/* q0, q1 sums of the even and odd channels; r5 weights, r8 bytes from a tap to the next */
#define MCUGEN_WIDE_TAP(load)                                                                                          \
    load "vldrb.s16 q3, [r5], #8\n\t"                                                                                  \
    "vmullb.s16 q4, q2, q3\n\t"                                                                                        \
    "vadd.i32 q0, q0, q4\n\t"                                                                                          \
    "vmullt.s16 q5, q2, q3\n\t"                                                                                        \
    "vadd.i32 q1, q1, q5\n\t"
#define MCUGEN_WIDE_ROW(row)                                                                                           \
    "add r3, " row ", r8\n\t" MCUGEN_WIDE_TAP("vldrh.16 q2, [" row "], #16\n\t")                                       \
    MCUGEN_WIDE_TAP("vldrh.16 q2, [r3]\n\tadd r3, r3, r8\n\t")                                                         \
    MCUGEN_WIDE_TAP("vldrh.16 q2, [r3]\n\t")

/* r0, r1, r2 rows, r4 out, r6 channels left, r7 zero point, r9 pixels left, r10 and r11 from the end of a pixel's channels,
 * rounded up to 8, to the next window and the next output, r12 blocks of 8 channels, lr those left; q6, q7 bounds; the weights'
 * start and the channels are on the stack. */
#define MCUGEN_WIDE_DEPTHWISE_ROW(name, end_of_pixel, store)                                                           \
    MCUGEN_SHARED void name(const struct mcugen_depthwise_row_s16_mve *row);                                           \
    MCUGEN_SHARED void name(const struct mcugen_depthwise_row_s16_mve *row)                                            \
    {                                                                                                                  \
        register const struct mcugen_depthwise_row_s16_mve *p __asm__("r0") = row;                                     \
        __asm__ volatile("push {r4-r11, lr}\n\t"                                                                       \
                         "vpush {d8-d15}\n\t"                                                                          \
                         "sub sp, sp, #8\n\t"                                                                          \
                         "ldrd r4, r5, [r0, #12]\n\t"                                                                  \
                         "ldrd r6, r10, [r0, #20]\n\t"                                                                 \
                         "ldrd r9, r7, [r0, #28]\n\t"                                                                  \
                         "ldrd r3, r12, [r0, #36]\n\t"                                                                 \
                         "vdup.16 q6, r3\n\t"                                                                          \
                         "vdup.16 q7, r12\n\t"                                                                         \
                         "ldrd r1, r2, [r0, #4]\n\t"                                                                   \
                         "ldr r0, [r0]\n\t"                                                                            \
                         "strd r5, r6, [sp]\n\t"                                                                       \
                         "lsl r8, r6, #1\n\t"                                                                          \
                         "add r12, r6, #7\n\t"                                                                         \
                         "lsr r12, r12, #3\n\t"                                                                        \
                         "sub r10, r10, r12, lsl #4\n\t"                                                               \
                         "sub r11, r6, r12, lsl #3\n\t" end_of_pixel "1:\n\t"                                          \
                         "ldr r6, [sp, #4]\n\t"                                                                        \
                         "dls lr, r12\n"                                                                               \
                         "2:\n\t"                                                                                      \
                         "vldrw.32 q0, [r5], #16\n\t"                                                                  \
                         "vldrw.32 q1, [r5], #16\n\t" MCUGEN_WIDE_ROW("r0") MCUGEN_WIDE_ROW("r1") MCUGEN_WIDE_ROW("r2") \
                         "vldrw.32 q2, [r5], #16\n\t"                                                                  \
                         "vldrw.32 q3, [r5], #16\n\t"                                                                  \
                         "vrmulh.s32 q0, q0, q2\n\t"                                                                   \
                         "vrmulh.s32 q1, q1, q3\n\t"                                                                   \
                         "vadd.i32 q0, q0, r7\n\t"                                                                     \
                         "vadd.i32 q1, q1, r7\n\t"                                                                     \
                         "vqmovnb.s32 q0, q0\n\t"                                                                      \
                         "vqmovnt.s32 q0, q1\n\t"                                                                      \
                         "vmax.s16 q0, q0, q6\n\t"                                                                     \
                         "vmin.s16 q0, q0, q7\n\t"                                                                     \
                         "vctp.16 r6\n\t"                                                                              \
                         "vpst\n\t" store "subs r6, r6, #8\n\t"                                                        \
                         "le lr, 2b\n\t"                                                                               \
                         "ldr r5, [sp]\n\t"                                                                            \
                         "add r0, r0, r10\n\t"                                                                         \
                         "add r1, r1, r10\n\t"                                                                         \
                         "add r2, r2, r10\n\t"                                                                         \
                         "add r4, r4, r11\n\t"                                                                         \
                         "subs r9, r9, #1\n\t"                                                                         \
                         "bne 1b\n\t"                                                                                  \
                         "add sp, sp, #8\n\t"                                                                          \
                         "vpop {d8-d15}\n\t"                                                                           \
                         "pop {r4-r11, lr}\n\t"                                                                        \
                         : "+r"(p)                                                                                     \
                         :                                                                                             \
                         : "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory");                           \
    }
MCUGEN_WIDE_DEPTHWISE_ROW(mcugen_depthwise_row_s16_mve, "lsl r11, r11, #1\n", "vstrht.16 q0, [r4], #16\n\t")
MCUGEN_WIDE_DEPTHWISE_ROW(mcugen_depthwise_row_s16_s8_mve, "\n", "vstrbt.16 q0, [r4], #8\n\t")
#undef MCUGEN_WIDE_DEPTHWISE_ROW
#undef MCUGEN_WIDE_ROW
#undef MCUGEN_WIDE_TAP

static MCUGEN_INLINE void mcugen_depthwise_row_wide_mve(const struct mcugen_depthwise_row_s16_mve *row, int32_t out_bytes)
{
    if (out_bytes == 1) {
        mcugen_depthwise_row_s16_s8_mve(row);
    } else {
        mcugen_depthwise_row_s16_mve(row);
    }
}

#else

MCUGEN_SHARED void mcugen_depthwise_row_wide_mve(const struct mcugen_depthwise_row_s16_mve *p, int32_t out_bytes);
MCUGEN_SHARED void mcugen_depthwise_row_wide_mve(const struct mcugen_depthwise_row_s16_mve *p, int32_t out_bytes)
{
    for (int32_t x = 0; x < p->pixels; ++x) {
        for (int32_t c = 0; c < p->channels; ++c) {
            const int32_t *w = p->weights + (ptrdiff_t)(c >> 3) * 34;
            const int8_t *weights = (const int8_t *)(w + 8);
            const int32_t lane = (c & 1) * 4 + (c & 7) / 2;
            int32_t acc = w[lane];
            for (int32_t tap = 0; tap < 9; ++tap) {
                const int8_t *in = p->in[tap / 3] + x * p->pixel_step;
                acc += mcugen_element(in, tap % 3 * p->channels + c, 2) * weights[8 * tap + (c & 7)];
            }
            const int32_t value = mcugen_requantize(acc, w[26 + lane], 0, p->zero_point);
            mcugen_put(p->out, (ptrdiff_t)x * p->channels + c, mcugen_clamp(value, p->low, p->high), out_bytes);
        }
    }
}

#endif

/* Row y of the image, or what lies above or below it, with its padding. */
static MCUGEN_MVE_INLINE void mcugen_depthwise_load_row_s16_mve(const struct mcugen_depthwise_conv2d_3x3_s16_mve *p,
                                                                const int8_t *in, int32_t y, int8_t *to)
{
    const int32_t pixel = 2 * p->in_c;
    const int32_t columns = (p->out_w - 1) * p->stride_w + 3;
    if (y < 0 || y >= p->in_h) {
        (void)mcugen_fill_over_s8(to, 0, columns * pixel);
        return;
    }
    const int32_t room = columns - p->pad_left;
    const int32_t count = room < p->in_w ? room : p->in_w;
    to = mcugen_fill_over_s8(to, 0, p->pad_left * pixel);
    to = mcugen_copy_over_s8(to, in + (ptrdiff_t)y * p->in_w * pixel, count * pixel);
    (void)mcugen_fill_over_s8(to, 0, (room - count) * pixel);
}

static MCUGEN_INLINE void mcugen_depthwise_conv2d_3x3_s16_mve(const struct mcugen_depthwise_conv2d_3x3_s16_mve *p,
                                                              const int8_t *in, int8_t *out, void *scratch)
{
    const int32_t row_bytes = ((((p->out_w - 1) * p->stride_w + 3) * p->in_c * 2 + 3) & ~3) + 16;
    int8_t *rows = (int8_t *)scratch;
    struct mcugen_depthwise_row_s16_mve row = {
        .in = {rows, rows + row_bytes, rows + 2 * row_bytes}, .out = out, .weights = p->weights, .channels = p->in_c,
        .pixel_step = p->stride_w * p->in_c * 2, .pixels = p->out_w, .zero_point = p->out_zero_point, .low = p->act_min,
        .high = p->act_max,
    };
    int32_t next = -p->pad_top;
    int32_t behind = 3;
    for (int32_t oy = 0; oy < p->out_h; ++oy) {
        for (int32_t i = behind; i > 0; --i, ++next) {
            int8_t *oldest = rows + (row.in[0] - rows);
            mcugen_depthwise_load_row_s16_mve(p, in, next, oldest);
            row.in[0] = row.in[1];
            row.in[1] = row.in[2];
            row.in[2] = oldest;
        }
        behind = p->stride_h;
        mcugen_depthwise_row_wide_mve(&row, p->out_bytes);
        row.out += p->out_w * p->in_c * p->out_bytes;
    }
}

#endif /* MCUGEN_DEPTHWISE_CONV2D_3X3_S16_MVE_H */
