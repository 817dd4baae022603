/* SPDX-License-Identifier: Apache-2.0 */
/* Packed 8/16-bit arithmetic: the Arm DSP instruction where the core has it, plain C with the same bits elsewhere.
 *
 * Every function is the exact meaning of the instruction it is named after, so that the kernels built on them run, and are
 * tested, on any host. Words hold two int16 (low half first in memory order on a little-endian core) or four int8.
 */
#ifndef MCUGEN_SIMD_H
#define MCUGEN_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "mcugen.h"

/* Unaligned words through memcpy: one instruction where the core allows it, bytes where it does not. */
static MCUGEN_INLINE uint32_t mcugen_load32(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

static MCUGEN_INLINE void mcugen_store32(void *p, uint32_t v)
{
    __builtin_memcpy(p, &v, sizeof v);
}

static MCUGEN_INLINE int32_t mcugen_low16(uint32_t x)
{
    return (int32_t)(int16_t)(uint16_t)x;
}

static MCUGEN_INLINE int32_t mcugen_high16(uint32_t x)
{
    return (int32_t)(int16_t)(uint16_t)(x >> 16);
}

#if MCUGEN_HAVE_DSP

#define MCUGEN_ASM3(name, op)                                                                                          \
    static MCUGEN_INLINE int32_t name(uint32_t a, uint32_t b, int32_t acc)                                             \
    {                                                                                                                  \
        int32_t r;                                                                                                     \
        __asm__(op " %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));                                            \
        return r;                                                                                                      \
    }
#define MCUGEN_ASM1(name, op)                                                                                          \
    static MCUGEN_INLINE uint32_t name(uint32_t a)                                                                     \
    {                                                                                                                  \
        uint32_t r;                                                                                                    \
        __asm__(op : "=r"(r) : "r"(a));                                                                                \
        return r;                                                                                                      \
    }

/* acc + a.low * b.low + a.high * b.high (wraps; the callers prove that it does not) */
MCUGEN_ASM3(mcugen_smlad, "smlad")
/* acc + a.low * b.high + a.high * b.low */
MCUGEN_ASM3(mcugen_smladx, "smladx")
/* acc + a.low * b.low, and the other three choices of halves */
MCUGEN_ASM3(mcugen_smlabb, "smlabb")
MCUGEN_ASM3(mcugen_smlabt, "smlabt")
MCUGEN_ASM3(mcugen_smlatb, "smlatb")
MCUGEN_ASM3(mcugen_smlatt, "smlatt")
/* bytes 0 and 2, or 1 and 3, as two int16 (sign-extended) or uint16 */
MCUGEN_ASM1(mcugen_sxtb16, "sxtb16 %0, %1")
MCUGEN_ASM1(mcugen_sxtb16_ror8, "sxtb16 %0, %1, ror #8")
MCUGEN_ASM1(mcugen_uxtb16, "uxtb16 %0, %1")
MCUGEN_ASM1(mcugen_uxtb16_ror8, "uxtb16 %0, %1, ror #8")
/* bytes swapped inside each half */
MCUGEN_ASM1(mcugen_rev16, "rev16 %0, %1")
#undef MCUGEN_ASM1
#undef MCUGEN_ASM3

/* four values in [-128, 127] as the bytes of a word, the first lowest */
static MCUGEN_INLINE uint32_t mcugen_pack_s8(int32_t a, int32_t b, int32_t c, int32_t d)
{
    uint32_t r = (uint32_t)a;
    __asm__("bfi %0, %1, #8, #24\n\tbfi %0, %2, #16, #16\n\tbfi %0, %3, #24, #8" : "+&r"(r) : "r"(b), "r"(c), "r"(d));
    return r;
}

#define MCUGEN_ASM2(name, op)                                                                                          \
    static MCUGEN_INLINE uint32_t name(uint32_t a, uint32_t b)                                                         \
    {                                                                                                                  \
        uint32_t r;                                                                                                    \
        __asm__(op : "=r"(r) : "r"(a), "r"(b));                                                                        \
        return r;                                                                                                      \
    }

/* two int16 sums or differences, each modulo 2^16 */
MCUGEN_ASM2(mcugen_sadd16, "sadd16 %0, %1, %2")
MCUGEN_ASM2(mcugen_ssub16, "ssub16 %0, %1, %2")
/* a plus sxtb16(b), or sxtb16_ror8(b), half by half */
MCUGEN_ASM2(mcugen_sxtab16, "sxtab16 %0, %1, %2")
MCUGEN_ASM2(mcugen_sxtab16_ror8, "sxtab16 %0, %1, %2, ror #8")
#undef MCUGEN_ASM2

/* the larger of each pair of int8 */
static MCUGEN_INLINE uint32_t mcugen_max_s8(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b));
    return r;
}

/* a.low | b.low << 16 */
static MCUGEN_INLINE uint32_t mcugen_pkhbt(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

/* a.high << 16 | b.high */
static MCUGEN_INLINE uint32_t mcugen_pkhtb(uint32_t a, uint32_t b)
{
    uint32_t r;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

/* addend + round(a * b / 2^32), one rounding, half up */
static MCUGEN_INLINE int32_t mcugen_smmlar(int32_t a, int32_t b, int32_t addend)
{
    int32_t r;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(addend));
    return r;
}

/* saturated to [-128, 127] */
static MCUGEN_INLINE int32_t mcugen_ssat8(int32_t a)
{
    int32_t r;
    __asm__("ssat %0, #8, %1" : "=r"(r) : "r"(a));
    return r;
}

#else

static MCUGEN_INLINE int32_t mcugen_wrap_add(int32_t a, int32_t b, int32_t c)
{
    return (int32_t)((uint32_t)a + (uint32_t)b + (uint32_t)c);
}

static MCUGEN_INLINE int32_t mcugen_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_low16(a) * mcugen_low16(b), mcugen_high16(a) * mcugen_high16(b));
}

static MCUGEN_INLINE int32_t mcugen_smladx(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_low16(a) * mcugen_high16(b), mcugen_high16(a) * mcugen_low16(b));
}

static MCUGEN_INLINE int32_t mcugen_smlabb(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_low16(a) * mcugen_low16(b), 0);
}

static MCUGEN_INLINE int32_t mcugen_smlabt(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_low16(a) * mcugen_high16(b), 0);
}

static MCUGEN_INLINE int32_t mcugen_smlatb(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_high16(a) * mcugen_low16(b), 0);
}

static MCUGEN_INLINE int32_t mcugen_smlatt(uint32_t a, uint32_t b, int32_t acc)
{
    return mcugen_wrap_add(acc, mcugen_high16(a) * mcugen_high16(b), 0);
}

static MCUGEN_INLINE uint32_t mcugen_pack_s8(int32_t a, int32_t b, int32_t c, int32_t d)
{
    return (uint32_t)(uint8_t)a | (uint32_t)(uint8_t)b << 8 | (uint32_t)(uint8_t)c << 16 | (uint32_t)(uint8_t)d << 24;
}

static MCUGEN_INLINE uint32_t mcugen_uxtb16(uint32_t a)
{
    return a & 0x00ff00ffu;
}

static MCUGEN_INLINE uint32_t mcugen_uxtb16_ror8(uint32_t a)
{
    return (a >> 8) & 0x00ff00ffu;
}

static MCUGEN_INLINE uint32_t mcugen_sxtb16(uint32_t a)
{
    const uint32_t low = (uint32_t)(uint16_t)(int16_t)(int8_t)(uint8_t)a;
    const uint32_t high = (uint32_t)(uint16_t)(int16_t)(int8_t)(uint8_t)(a >> 16);
    return low | (high << 16);
}

static MCUGEN_INLINE uint32_t mcugen_sxtb16_ror8(uint32_t a)
{
    return mcugen_sxtb16(a >> 8);
}

static MCUGEN_INLINE uint32_t mcugen_sadd16(uint32_t a, uint32_t b)
{
    return ((a + b) & 0xffffu) | (((a >> 16) + (b >> 16)) << 16);
}

static MCUGEN_INLINE uint32_t mcugen_ssub16(uint32_t a, uint32_t b)
{
    return ((a - b) & 0xffffu) | (((a >> 16) - (b >> 16)) << 16);
}

static MCUGEN_INLINE uint32_t mcugen_sxtab16(uint32_t a, uint32_t b)
{
    return mcugen_sadd16(a, mcugen_sxtb16(b));
}

static MCUGEN_INLINE uint32_t mcugen_sxtab16_ror8(uint32_t a, uint32_t b)
{
    return mcugen_sadd16(a, mcugen_sxtb16_ror8(b));
}

static MCUGEN_INLINE uint32_t mcugen_max_s8(uint32_t a, uint32_t b)
{
    uint32_t r = 0;
    for (int32_t i = 0; i < 32; i += 8) {
        const int8_t x = (int8_t)(uint8_t)(a >> i);
        const int8_t y = (int8_t)(uint8_t)(b >> i);
        r |= (uint32_t)(uint8_t)(x > y ? x : y) << i;
    }
    return r;
}

static MCUGEN_INLINE uint32_t mcugen_rev16(uint32_t a)
{
    return ((a & 0x00ff00ffu) << 8) | ((a >> 8) & 0x00ff00ffu);
}

static MCUGEN_INLINE uint32_t mcugen_pkhbt(uint32_t a, uint32_t b)
{
    return (a & 0xffffu) | (b << 16);
}

static MCUGEN_INLINE uint32_t mcugen_pkhtb(uint32_t a, uint32_t b)
{
    return (a & 0xffff0000u) | (b >> 16);
}

/* The same sum from 16-bit halves, for cores without a multiplier of 64 bits.  The upper 17 bits of the middle
 * products are rounded half up in two shifts, since the sum with half a unit may not fit. */
static MCUGEN_INLINE int32_t mcugen_smmlar_halves(int32_t a, int32_t b, int32_t addend)
{
    const int32_t a_high = a >> 16;
    const int32_t b_high = b >> 16;
    const uint32_t a_low = (uint32_t)a & 0xffffu;
    const uint32_t b_low = (uint32_t)b & 0xffffu;
    const int32_t cross = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    const int32_t middle = (int32_t)a_low * b_high + (int32_t)((uint32_t)cross & 0xffffu);
    return a_high * b_high + (cross >> 16) + (((middle >> 15) + 1) >> 1) + addend;
}

#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)

static MCUGEN_INLINE int32_t mcugen_smmlar(int32_t a, int32_t b, int32_t addend)
{
    return mcugen_smmlar_halves(a, b, addend);
}

#else

static MCUGEN_INLINE int32_t mcugen_smmlar(int32_t a, int32_t b, int32_t addend)
{
    const int64_t product = (int64_t)a * b + ((int64_t)1 << 31);
    return mcugen_wrap_add((int32_t)(product >> 32), addend, 0);
}

#endif

static MCUGEN_INLINE int32_t mcugen_ssat8(int32_t a)
{
    return a < -128 ? -128 : (a > 127 ? 127 : a);
}

#endif

#endif /* MCUGEN_SIMD_H */
