/* SPDX-License-Identifier: Apache-2.0 */
/* RV32 start-up with semihosting. */
#include <stdint.h>

#include "baremetal.h"

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[];
int semihost(int operation, const void *argument);
void baremetal_start(void);
void baremetal_fault(void);

#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define ADP_STOPPED_APPLICATION_EXIT 0x20026u

/* The three instructions must be uncompressed and within one page.  They are a function of their own, since an aligned
 * block inlined into C breaks linker relaxation. */
__asm__(".section .text.semihost, \"ax\"\n"
        ".balign 16\n"
        ".globl semihost\n"
        ".type semihost, @function\n"
        "semihost:\n"
        ".option push\n"
        ".option norvc\n"
        ".option norelax\n"
        "    slli x0, x0, 0x1f\n"
        "    ebreak\n"
        "    srai x0, x0, 7\n"
        "    ret\n"
        ".option pop\n"
        ".size semihost, .-semihost\n"
        ".text\n");

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

__attribute__((used)) void baremetal_fault(void)
{
    baremetal_print("fault\n");
    baremetal_exit(99);
}

__attribute__((used, noreturn)) void baremetal_start(void)
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

__asm__(".section .vectors, \"ax\"\n"
        ".globl Reset_Handler\n"
        ".type Reset_Handler, @function\n"
        "Reset_Handler:\n"
        ".option push\n"
        ".option arch, +zicsr\n"
        ".option norelax\n"
        "    la gp, __global_pointer$\n"
        "    la sp, __stack_top\n"
        "    la t0, trap_entry\n"
        "    csrw mtvec, t0\n"
#ifdef __riscv_flen
        "    li t0, 0x6000\n"
        "    csrs mstatus, t0\n"
#endif
        "    j baremetal_start\n"
        ".option pop\n"
        ".balign 4\n"
        "trap_entry:\n"
        "    j baremetal_fault\n"
        ".text\n");
