/* SPDX-License-Identifier: Apache-2.0 */
/* What every kernel and every generated model shares: the runtime's API number, error codes and compiler macros. */
#ifndef MCUGEN_H
#define MCUGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Raised when a kernel's parameters change meaning: generated code refuses a runtime with another number. */
#define MCUGEN_API 1

/* Returned by NAME_run: 0, or one of these. Macros, since compilers size an enum differently on Arm. */
#define MCUGEN_OK 0
#define MCUGEN_ERROR_NULL (-1)
#define MCUGEN_ERROR_ALIGNMENT (-2)

/* ---- Configuration: define any of these on the compiler's command line to override what is detected ---- */

/* 1 where the core has the Armv7E-M / Armv8-M DSP instructions. */
#ifndef MCUGEN_HAVE_DSP
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define MCUGEN_HAVE_DSP 1
#else
#define MCUGEN_HAVE_DSP 0
#endif
#endif

/* 1 where the core has the M-profile vector extension (integer). */
#ifndef MCUGEN_HAVE_MVE
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MCUGEN_HAVE_MVE 1
#else
#define MCUGEN_HAVE_MVE 0
#endif
#endif

/* 1: run the DSP or MVE kernels through their C twins on a core without the instructions (what the host tests do). */
#ifndef MCUGEN_EMULATE_DSP
#define MCUGEN_EMULATE_DSP 0
#endif
#ifndef MCUGEN_EMULATE_MVE
#define MCUGEN_EMULATE_MVE 0
#endif

/* 1 where the scalar kernels may be written in Thumb instructions, those that every Cortex-M has. */
#ifndef MCUGEN_USE_THUMB
#if defined(__arm__) && defined(__thumb__)
#define MCUGEN_USE_THUMB 1
#else
#define MCUGEN_USE_THUMB 0
#endif
#endif

/* Which kernels a model built for any Cortex-M takes. */
#define MCUGEN_USE_DSP (MCUGEN_HAVE_DSP || MCUGEN_EMULATE_DSP)
#define MCUGEN_USE_MVE (MCUGEN_HAVE_MVE || MCUGEN_EMULATE_MVE)

/* ---- Compiler ---- */

#define MCUGEN_INLINE inline __attribute__((always_inline))
/* For the steps of a model. GCC 12 takes some of their loops, where it addresses the output relative to the input, for free of
 * side effects and drops the call; noipa keeps it from looking into them. */
#if defined(__GNUC__) && !defined(__clang__)
#define MCUGEN_NOINLINE __attribute__((noipa))
#else
#define MCUGEN_NOINLINE __attribute__((noinline))
#endif
/* One copy in the firmware, whichever model brought it. */
#define MCUGEN_SHARED __attribute__((weak, noinline))

#define MCUGEN_STATIC_ASSERT(condition, name) typedef char mcugen_assert_##name[(condition) ? 1 : -1]

/* Requantization relies on an arithmetic right shift of negative values. */
MCUGEN_STATIC_ASSERT((-1 >> 1) == -1, arithmetic_right_shift);

#endif /* MCUGEN_H */
