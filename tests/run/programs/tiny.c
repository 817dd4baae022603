#include "tiny.h"

int8_t *tiny_input(struct tiny_arena *arena)
{
    return (int8_t *)arena->words;
}

const int8_t *tiny_output(const struct tiny_arena *arena)
{
    return (const int8_t *)arena->words;
}

#if defined(TINY_DEEP)
static int touch(volatile char *from, int depth)
{
    volatile char here[256];
    for (int i = 0; i < 256; ++i) {
        here[i] = *from;
    }
    return depth == 0 ? here[0] : touch(here, depth - 1) + here[0];
}
#elif defined(TINY_GLOBALS)
static const int16_t table[5] = {3, 1, 4, 1, 5};
static volatile int32_t counters[3] = {1, 2, 3};
static volatile int32_t zeros[7];
#endif

int tiny_run(struct tiny_arena *arena)
{
#if defined(TINY_RETURNS)
    (void)arena;
    return TINY_RETURNS;
#elif defined(TINY_WRITES_OUTSIDE)
    /* 8 bytes behind the arena */
    ((volatile int8_t *)arena)[16] = 1;
    return 0;
#elif defined(TINY_STORES_AT)
    (void)arena;
    *(volatile int32_t *)TINY_STORES_AT = 1;
    return 0;
#elif defined(TINY_UNALIGNED)
    volatile int32_t *unaligned = (volatile int32_t *)((uintptr_t)arena->words + 1u);
    *unaligned = *unaligned + 1;
    return 0;
#elif defined(TINY_UNALIGNED_PAIR)
    uint32_t low, high;
    __asm__ volatile("ldrd %0, %1, [%2, #0]" : "=&r"(low), "=&r"(high) : "r"((uintptr_t)arena->words + 2u) : "memory");
    return (low ^ high) == 1u;
#elif defined(TINY_ENDLESS)
    volatile int32_t *word = arena->words;
    *word = 0;
    while (*word == 0) {
    }
    return 0;
#elif defined(TINY_DEEP)
    volatile char start = (char)arena->words[0];
    return touch(&start, TINY_DEEP) == -1;
#elif defined(TINY_RESERVES)
    volatile char unwritten[1024];
    __asm__ volatile("" ::"r"(unwritten) : "memory");
    while (arena->words[0] == 12345) {
    }
    return 0;
#elif defined(TINY_GLOBALS)
    counters[0] += zeros[arena->words[0] & 7] + table[arena->words[0] & 3];
    return 0;
#else
    arena->words[0] ^= 0x55;
    return 0;
#endif
}
