/* SPDX-License-Identifier: Apache-2.0 */
/* What a bare-metal program may use of the start-up code: exit and text through semihosting, and the measuring marks. */
#ifndef MCUGEN_BAREMETAL_H
#define MCUGEN_BAREMETAL_H

/* Called by the start-up code; its result becomes the exit status of the emulator. */
int main(void);

/* Prints a zero-terminated text on the emulator's or debugger's console. */
void baremetal_print(const char *text);

/* Ends the program with an exit status of 0 to 255. */
__attribute__((noreturn)) void baremetal_exit(int status);

/* Marks that an emulator looks for by name; they do nothing themselves.  What runs between begin and end is measured;
 * an attached emulator stops at wait to put a vector into bench_input, and at done to read bench_output. */
void bench_wait(void);
void bench_begin(void);
void bench_end(void);
void bench_done(void);

#endif /* MCUGEN_BAREMETAL_H */
