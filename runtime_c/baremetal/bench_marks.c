/* SPDX-License-Identifier: Apache-2.0 */
/* The marks are in a file of their own, so that no compiler sees through them. */
#include "baremetal.h"

#define MARK(name)                             \
    __attribute__((noinline)) void name(void)  \
    {                                          \
        __asm__ volatile("nop" ::: "memory");  \
    }

MARK(bench_wait)
MARK(bench_begin)
MARK(bench_end)
MARK(bench_done)
