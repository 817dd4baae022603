/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model once on its golden vector, or on vector after vector for an attached emulator.
 * mcugen_bench.h is generated: it includes the model's header and defines the BENCH_ macros used here. */
#include <stddef.h>
#include <stdint.h>

#include "mcugen_bench.h"

#include "baremetal.h"

/* In RAM, and visible by name: an attached emulator writes and reads these. */
extern int8_t bench_input[BENCH_INPUT_BYTES];
extern int8_t bench_output[BENCH_OUTPUT_BYTES];
extern volatile uint32_t bench_repeat;
extern volatile int32_t bench_status;
extern BENCH_ARENA bench_arena;

int8_t bench_input[BENCH_INPUT_BYTES] = {BENCH_GOLDEN_INPUT};
int8_t bench_output[BENCH_OUTPUT_BYTES];
volatile uint32_t bench_repeat;
volatile int32_t bench_status;
BENCH_ARENA bench_arena;

#ifdef BENCH_GOLDEN_OUTPUT
static const int8_t golden_output[BENCH_OUTPUT_BYTES] = {BENCH_GOLDEN_OUTPUT};
#endif

static void copy(int8_t *to, const int8_t *from, size_t size)
{
    for (size_t i = 0; i < size; ++i) {
        to[i] = from[i];
    }
}

static void load_inputs(void)
{
    const int8_t *from = bench_input;
#define LOAD(input, size)                                    \
    copy((int8_t *)(void *)input(&bench_arena), from, size); \
    from += (size);
    BENCH_INPUTS(LOAD)
#undef LOAD
    (void)from;
}

static void store_outputs(void)
{
    int8_t *to = bench_output;
#define STORE(output, size)                                             \
    copy(to, (const int8_t *)(const void *)output(&bench_arena), size); \
    to += (size);
    BENCH_OUTPUTS(STORE)
#undef STORE
    (void)to;
}

static int outputs_differ(void)
{
#ifdef BENCH_GOLDEN_OUTPUT
    for (size_t i = 0; i < BENCH_OUTPUT_BYTES; ++i) {
        if (bench_output[i] != golden_output[i]) {
            return 1;
        }
    }
#endif
    return 0;
}

int main(void)
{
    do {
        bench_wait();
        load_inputs();
        bench_begin();
        bench_status = BENCH_RUN(&bench_arena);
        bench_end();
        store_outputs();
        bench_done();
    } while (bench_repeat != 0u);
    if (bench_status != 0) {
        baremetal_print("the run returned an error\n");
        return 1;
    }
    if (outputs_differ()) {
        baremetal_print("the outputs differ from the golden ones\n");
        return 1;
    }
    return 0;
}
