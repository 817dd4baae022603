#include "counted.h"

void counted_step_0(struct counted_arena *arena);
void counted_step_1(struct counted_arena *arena);
void counted_step_2(struct counted_arena *arena);

#if defined(__riscv)
#define HEAD(name) ".globl " name "\n.type " name ", @function\n" name ":\n.option push\n.option norvc\n"
#define TAIL(name) ".option pop\n.size " name ", .-" name "\n"
/* 20 rounds of: load, use of it (a stall), multiply, store, count, branch; then return */
__asm__(".text\n" HEAD("counted_step_0") "    li a1, 20\n"
        "0:  lw a2, 0(a0)\n    addi a2, a2, 1\n    mul a3, a2, a2\n    sw a2, 0(a0)\n    addi a1, a1, -1\n    bnez a1, 0b\n"
        "    ret\n" TAIL("counted_step_0"));
/* a high multiply, a division, and a load with something between it and its use */
__asm__(HEAD("counted_step_1") "    lw a2, 0(a0)\n    li a3, 3\n    mulh a4, a2, a3\n    div a4, a2, a3\n    ret\n" TAIL(
    "counted_step_1"));
__asm__(HEAD("counted_step_2") "    j 1f\n    nop\n1:  ret\n" TAIL("counted_step_2"));
#else
#define HEAD(name) ".p2align 2\n.thumb_func\n.globl " name "\n.type " name ", %function\n" name ":\n"
#define TAIL(name) ".size " name ", .-" name "\n"
/* 20 rounds of: load, add, multiply, store, count, branch; then return */
__asm__(".syntax unified\n.text\n.thumb\n" HEAD("counted_step_0") "    movs r1, #20\n"
        "0:  ldr r2, [r0]\n    adds r2, #1\n    muls r3, r2, r3\n    str r2, [r0]\n    subs r1, #1\n    bne 0b\n"
        "    bx lr\n" TAIL("counted_step_0"));
/* two loads in a row, and registers saved and restored with the return */
__asm__(HEAD("counted_step_1") "    push {r4, r5, lr}\n    ldr r4, [r0]\n    ldr r5, [r0, #4]\n    pop {r4, r5, pc}\n" TAIL(
    "counted_step_1"));
#if defined(__ARM_FEATURE_UNALIGNED)
/* an access off its alignment, and a predicated store whose condition its own block then turns round */
__asm__(HEAD("counted_step_2") "    ldr.w r2, [r0, #5]\n    movs r1, #0\n    movs r3, #1\n    cmp r1, r3\n"
        "    itt lo\n    strlo r3, [r0, #8]\n    cmplo r3, r1\n    b.n 1f\n    nop\n"
        "1:  str r3, [r0, #12]\n    bx lr\n" TAIL("counted_step_2"));
#else
__asm__(HEAD("counted_step_2") "    b 1f\n    nop\n1:  bx lr\n" TAIL("counted_step_2"));
#endif
#endif

int8_t *counted_input(struct counted_arena *arena)
{
    return (int8_t *)arena->words;
}

const int8_t *counted_output(const struct counted_arena *arena)
{
    return (const int8_t *)arena->words;
}

int counted_run(struct counted_arena *arena)
{
    counted_step_0(arena);
    counted_step_1(arena);
    counted_step_2(arena);
    return 0;
}
