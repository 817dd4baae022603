/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M start-up with semihosting, for every machine and emulator: the linker script is the only difference. */
#include <stdint.h>

#include "baremetal.h"

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_top[];
void Reset_Handler(void);
void Fault_Handler(void);

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void baremetal_print(const char *text)
{
    semihost(SYS_WRITE0, text);
}

void baremetal_exit(int status)
{
    const uint32_t block[2] = {ADP_STOPPED_APPLICATION_EXIT, (uint32_t)status};
    for (;;) {
        semihost(SYS_EXIT_EXTENDED, block);
    }
}

void Fault_Handler(void)
{
    baremetal_print("fault\n");
    baremetal_exit(99);
}

__attribute__((noinline, noreturn, used)) static void start(void)
{
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; ++to, ++from) {
        *to = *from;
    }
    for (uint32_t *to = __bss_start; to < __bss_end; ++to) {
        *to = 0u;
    }
    baremetal_exit(main());
}

/* No floating-point or vector instruction may run before the coprocessors are on, so this function does nothing else. */
void Reset_Handler(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    REGISTER(0xE000ED88) |= 0xFu << 20; /* CPACR: full access to CP10 and CP11 */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
#if defined(__ARM_FEATURE_MVE)
    REGISTER(0xE000ED14) |= 1u << 19; /* CCR.LOB: low-overhead branches */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    start();
}

struct vector_table {
    uint32_t *stack_top;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vector_table vectors = {
    __stack_top,
    {Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, 0, 0, 0,
     Fault_Handler, Fault_Handler, 0, Fault_Handler, Fault_Handler},
};
