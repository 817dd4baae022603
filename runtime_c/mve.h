/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 16 bytes: the MVE instruction where the core has it, plain C with the same bits elsewhere.
 *
 * Every function is the exact meaning of the instruction it is named after, so that the kernels built on them run, and are
 * tested, on any host.  Loads and stores of bytes may be unaligned, those of words may not.
 */
#ifndef MCUGEN_MVE_H
#define MCUGEN_MVE_H

#include <stdint.h>

#include "fixed_point.h"
#include "mcugen.h"

#if MCUGEN_HAVE_MVE

#include <arm_mve.h>

#define MCUGEN_MVE_INLINE MCUGEN_INLINE

typedef int8x16_t mcugen_s8x16;
typedef int16x8_t mcugen_s16x8;
typedef int32x4_t mcugen_s32x4;

#define MCUGEN_MVE0(result, name, intrinsic, type)                                                                     \
    static MCUGEN_INLINE result name(type a)                                                                           \
    {                                                                                                                  \
        return intrinsic(a);                                                                                           \
    }
#define MCUGEN_MVE2(result, name, intrinsic, first, second)                                                            \
    static MCUGEN_INLINE result name(first a, second b)                                                                \
    {                                                                                                                  \
        return intrinsic(a, b);                                                                                        \
    }

#define mcugen_load_s8x16(from) vldrbq_s8(from)
#define mcugen_store_s8x16(to, v) vstrbq_s8(to, v)
#define mcugen_dup_s8x16(value) vdupq_n_s8((int8_t)(value))
/* 8 or 4 bytes, sign-extended; all of them, or the first `count` and zeros */
#define mcugen_load_s16x8(from) vldrbq_s16(from)
#define mcugen_load_first_s16x8(from, count) vldrbq_z_s16(from, vctp16q((uint32_t)(count)))
#define mcugen_load_s32x4(from) vldrbq_s32(from)
#define mcugen_load_first_s32x4(from, count) vldrbq_z_s32(from, vctp32q((uint32_t)(count)))
/* 4 words */
#define mcugen_load_w32x4(from) vldrwq_s32(from)
#define mcugen_store_w32x4(to, v) vstrwq_s32(to, v)
#define mcugen_dup_s32x4(value) vdupq_n_s32(value)
#define mcugen_dup_s16x8(value) vdupq_n_s16((int16_t)(value))
/* the low byte of every lane; of all lanes, or of the first `count` */
#define mcugen_store_s16x8(to, v) vstrbq_s16(to, v)
#define mcugen_store_first_s16x8(to, v, count) vstrbq_p_s16(to, v, vctp16q((uint32_t)(count)))
#define mcugen_store_s32x4(to, v) vstrbq_s32(to, v)
#define mcugen_store_first_s32x4(to, v, count) vstrbq_p_s32(to, v, vctp32q((uint32_t)(count)))

MCUGEN_MVE2(mcugen_s16x8, mcugen_add_s16x8, vaddq_s16, mcugen_s16x8, mcugen_s16x8)
MCUGEN_MVE2(mcugen_s16x8, mcugen_mul_s16x8, vmulq_s16, mcugen_s16x8, mcugen_s16x8)
MCUGEN_MVE2(mcugen_s32x4, mcugen_add_s32x4, vaddq_s32, mcugen_s32x4, mcugen_s32x4)
MCUGEN_MVE2(mcugen_s32x4, mcugen_add_n_s32x4, vaddq_n_s32, mcugen_s32x4, int32_t)
MCUGEN_MVE2(mcugen_s8x16, mcugen_max_s8x16, vmaxq_s8, mcugen_s8x16, mcugen_s8x16)
MCUGEN_MVE2(mcugen_s8x16, mcugen_min_s8x16, vminq_s8, mcugen_s8x16, mcugen_s8x16)
MCUGEN_MVE2(mcugen_s16x8, mcugen_max_s16x8, vmaxq_s16, mcugen_s16x8, mcugen_s16x8)
MCUGEN_MVE2(mcugen_s16x8, mcugen_min_s16x8, vminq_s16, mcugen_s16x8, mcugen_s16x8)
/* lanes shifted left by b, or arithmetically right by -b; no lane overflows */
MCUGEN_MVE2(mcugen_s32x4, mcugen_shift_s32x4, vshlq_s32, mcugen_s32x4, mcugen_s32x4)
MCUGEN_MVE2(mcugen_s32x4, mcugen_shift_n_s32x4, vshlq_r_s32, mcugen_s32x4, int32_t)
/* (a * b + 2^31) >> 32 */
MCUGEN_MVE2(mcugen_s32x4, mcugen_mulh_s32x4, vrmulhq_s32, mcugen_s32x4, mcugen_s32x4)
/* lanes 0, 2, 4, 6, or 1, 3, 5, 7, as 32 bits: products or the lanes themselves */
MCUGEN_MVE2(mcugen_s32x4, mcugen_mul_even_s16x8, vmullbq_int_s16, mcugen_s16x8, mcugen_s16x8)
MCUGEN_MVE2(mcugen_s32x4, mcugen_mul_odd_s16x8, vmulltq_int_s16, mcugen_s16x8, mcugen_s16x8)
MCUGEN_MVE0(mcugen_s32x4, mcugen_even_s16x8, vmovlbq_s16, mcugen_s16x8)
MCUGEN_MVE0(mcugen_s32x4, mcugen_odd_s16x8, vmovltq_s16, mcugen_s16x8)

/* acc + a * b */
static MCUGEN_INLINE mcugen_s32x4 mcugen_mla_n_s32x4(mcugen_s32x4 acc, mcugen_s32x4 a, int32_t b)
{
    return vmlaq_n_s32(acc, a, b);
}

/* c + (2 * a * b + 2^31) >> 32, saturated */
static MCUGEN_INLINE mcugen_s32x4 mcugen_mulh_add_s32x4(mcugen_s32x4 a, mcugen_s32x4 b, int32_t c)
{
    return vqrdmlashq_n_s32(a, b, c);
}

/* 8 lanes saturated to 16 bits, from the even and the odd ones; the low bytes of the result are then saturated to 8 */
static MCUGEN_INLINE mcugen_s16x8 mcugen_saturate_s8x8(mcugen_s32x4 even, mcugen_s32x4 odd)
{
    const int16x8_t wide = vqmovntq_s32(vqmovnbq_s32(vuninitializedq_s16(), even), odd);
    return vreinterpretq_s16_s8(vqmovnbq_s16(vuninitializedq_s8(), wide));
}

/* 4 lanes saturated to 8 bits, in their low bytes */
static MCUGEN_INLINE mcugen_s32x4 mcugen_saturate_s8x4(mcugen_s32x4 v)
{
    const int16x8_t wide = vqmovnbq_s32(vreinterpretq_s16_s32(v), v);
    return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(wide), wide));
}

#undef MCUGEN_MVE0
#undef MCUGEN_MVE2

#else

/* Emulated lanes are loops: one copy of each function will do. */
#define MCUGEN_MVE_INLINE inline

typedef struct {
    int8_t lane[16];
} mcugen_s8x16;
typedef struct {
    int16_t lane[8];
} mcugen_s16x8;
typedef struct {
    int32_t lane[4];
} mcugen_s32x4;

static MCUGEN_MVE_INLINE mcugen_s8x16 mcugen_load_s8x16(const int8_t *from)
{
    mcugen_s8x16 v;
    __builtin_memcpy(v.lane, from, sizeof v.lane);
    return v;
}

static MCUGEN_MVE_INLINE void mcugen_store_s8x16(int8_t *to, mcugen_s8x16 v)
{
    __builtin_memcpy(to, v.lane, sizeof v.lane);
}

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_load_w32x4(const int32_t *from)
{
    mcugen_s32x4 v;
    __builtin_memcpy(v.lane, from, sizeof v.lane);
    return v;
}

static MCUGEN_MVE_INLINE void mcugen_store_w32x4(int32_t *to, mcugen_s32x4 v)
{
    __builtin_memcpy(to, v.lane, sizeof v.lane);
}

#define MCUGEN_MVE_TYPE(type, lanes, element)                                                                          \
    static MCUGEN_MVE_INLINE mcugen_##type mcugen_dup_##type(int32_t value)                                                \
    {                                                                                                                  \
        mcugen_##type v;                                                                                               \
        for (int32_t i = 0; i < lanes; ++i) {                                                                          \
            v.lane[i] = (element)value;                                                                                \
        }                                                                                                              \
        return v;                                                                                                      \
    }                                                                                                                  \
    static MCUGEN_MVE_INLINE mcugen_##type mcugen_load_first_##type(const int8_t *from, int32_t count)                     \
    {                                                                                                                  \
        mcugen_##type v;                                                                                               \
        for (int32_t i = 0; i < lanes; ++i) {                                                                          \
            v.lane[i] = (element)(i < count ? from[i] : 0);                                                            \
        }                                                                                                              \
        return v;                                                                                                      \
    }                                                                                                                  \
    static MCUGEN_MVE_INLINE void mcugen_store_first_##type(int8_t *to, mcugen_##type v, int32_t count)                    \
    {                                                                                                                  \
        for (int32_t i = 0; i < lanes && i < count; ++i) {                                                             \
            to[i] = (int8_t)(uint8_t)v.lane[i];                                                                        \
        }                                                                                                              \
    }
MCUGEN_MVE_TYPE(s8x16, 16, int8_t)
MCUGEN_MVE_TYPE(s16x8, 8, int16_t)
MCUGEN_MVE_TYPE(s32x4, 4, int32_t)
#undef MCUGEN_MVE_TYPE

#define mcugen_load_s16x8(from) mcugen_load_first_s16x8(from, 8)
#define mcugen_load_s32x4(from) mcugen_load_first_s32x4(from, 4)
#define mcugen_store_s16x8(to, v) mcugen_store_first_s16x8(to, v, 8)
#define mcugen_store_s32x4(to, v) mcugen_store_first_s32x4(to, v, 4)

#define MCUGEN_MVE_LANES(result, lanes, name, first, second, expression)                                               \
    static MCUGEN_MVE_INLINE result name(first a, second b)                                                                \
    {                                                                                                                  \
        result v;                                                                                                      \
        for (int32_t i = 0; i < lanes; ++i) {                                                                          \
            v.lane[i] = expression;                                                                                    \
        }                                                                                                              \
        return v;                                                                                                      \
    }
#define MCUGEN_MVE_WRAP16(x) (int16_t)(uint16_t)(x)
MCUGEN_MVE_LANES(mcugen_s16x8, 8, mcugen_add_s16x8, mcugen_s16x8, mcugen_s16x8, MCUGEN_MVE_WRAP16(a.lane[i] + b.lane[i]))
MCUGEN_MVE_LANES(mcugen_s16x8, 8, mcugen_mul_s16x8, mcugen_s16x8, mcugen_s16x8, MCUGEN_MVE_WRAP16(a.lane[i] * b.lane[i]))
#undef MCUGEN_MVE_WRAP16
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_add_s32x4, mcugen_s32x4, mcugen_s32x4, a.lane[i] + b.lane[i])
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_add_n_s32x4, mcugen_s32x4, int32_t, a.lane[i] + b)
MCUGEN_MVE_LANES(mcugen_s8x16, 16, mcugen_max_s8x16, mcugen_s8x16, mcugen_s8x16, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i])
MCUGEN_MVE_LANES(mcugen_s8x16, 16, mcugen_min_s8x16, mcugen_s8x16, mcugen_s8x16, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i])
MCUGEN_MVE_LANES(mcugen_s16x8, 8, mcugen_max_s16x8, mcugen_s16x8, mcugen_s16x8, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i])
MCUGEN_MVE_LANES(mcugen_s16x8, 8, mcugen_min_s16x8, mcugen_s16x8, mcugen_s16x8, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i])
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_mulh_s32x4, mcugen_s32x4, mcugen_s32x4,
                 (int32_t)(((int64_t)a.lane[i] * b.lane[i] + ((int64_t)1 << 31)) >> 32))
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_mul_even_s16x8, mcugen_s16x8, mcugen_s16x8, (int32_t)a.lane[2 * i] * b.lane[2 * i])
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_mul_odd_s16x8, mcugen_s16x8, mcugen_s16x8,
                 (int32_t)a.lane[2 * i + 1] * b.lane[2 * i + 1])

static MCUGEN_MVE_INLINE int32_t mcugen_mve_shift(int32_t value, int32_t by)
{
    return by >= 0 ? value * (int32_t)((uint32_t)1 << by) : value >> -by;
}
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_shift_s32x4, mcugen_s32x4, mcugen_s32x4, mcugen_mve_shift(a.lane[i], b.lane[i]))
MCUGEN_MVE_LANES(mcugen_s32x4, 4, mcugen_shift_n_s32x4, mcugen_s32x4, int32_t, mcugen_mve_shift(a.lane[i], b))
#undef MCUGEN_MVE_LANES

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_even_s16x8(mcugen_s16x8 a)
{
    const mcugen_s32x4 v = {{a.lane[0], a.lane[2], a.lane[4], a.lane[6]}};
    return v;
}

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_odd_s16x8(mcugen_s16x8 a)
{
    const mcugen_s32x4 v = {{a.lane[1], a.lane[3], a.lane[5], a.lane[7]}};
    return v;
}

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_mla_n_s32x4(mcugen_s32x4 acc, mcugen_s32x4 a, int32_t b)
{
    for (int32_t i = 0; i < 4; ++i) {
        acc.lane[i] += a.lane[i] * b;
    }
    return acc;
}

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_mulh_add_s32x4(mcugen_s32x4 a, mcugen_s32x4 b, int32_t c)
{
    for (int32_t i = 0; i < 4; ++i) {
        a.lane[i] = c + (int32_t)(((int64_t)a.lane[i] * b.lane[i] + ((int64_t)1 << 30)) >> 31);
    }
    return a;
}

static MCUGEN_MVE_INLINE mcugen_s16x8 mcugen_saturate_s8x8(mcugen_s32x4 even, mcugen_s32x4 odd)
{
    mcugen_s16x8 v;
    for (int32_t i = 0; i < 8; ++i) {
        v.lane[i] = (int16_t)mcugen_ssat8(i % 2 ? odd.lane[i / 2] : even.lane[i / 2]);
    }
    return v;
}

static MCUGEN_MVE_INLINE mcugen_s32x4 mcugen_saturate_s8x4(mcugen_s32x4 v)
{
    for (int32_t i = 0; i < 4; ++i) {
        v.lane[i] = mcugen_ssat8(v.lane[i]);
    }
    return v;
}

#endif

/* `count` bytes in pieces of 16: reads and writes up to 15 bytes more; returns the byte behind the `count`. */
static MCUGEN_MVE_INLINE int8_t *mcugen_copy_over_s8(int8_t *to, const int8_t *from, int32_t count)
{
    for (int32_t i = 0; i < count; i += 16) {
        mcugen_store_s8x16(to + i, mcugen_load_s8x16(from + i));
    }
    return to + count;
}

static MCUGEN_MVE_INLINE int8_t *mcugen_fill_over_s8(int8_t *to, int32_t value, int32_t count)
{
    const mcugen_s8x16 v = mcugen_dup_s8x16(value);
    for (int32_t i = 0; i < count; i += 16) {
        mcugen_store_s8x16(to + i, v);
    }
    return to + count;
}

/* The explicit bounds of an activation; no code where they are those of int8. */
static MCUGEN_MVE_INLINE void mcugen_clamp_s8_mve(int8_t *data, int32_t count, int32_t low, int32_t high)
{
    if (low > -128 || high < 127) {
        const mcugen_s16x8 lowest = mcugen_dup_s16x8(low);
        const mcugen_s16x8 highest = mcugen_dup_s16x8(high);
        for (int32_t i = 0; i < count; i += 8) {
            const mcugen_s16x8 v = mcugen_load_first_s16x8(data + i, count - i);
            const mcugen_s16x8 clamped = mcugen_min_s16x8(mcugen_max_s16x8(v, lowest), highest);
            mcugen_store_first_s16x8(data + i, clamped, count - i);
        }
    }
}

#endif /* MCUGEN_MVE_H */
