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

#ifdef BENCH_ROWS

/* The rows are copied between the calls: the copy's cycles count to the run. */
static void load_inputs(void)
{
}

static void copy_row(int8_t *to, const int8_t *from, size_t size)
{
    if ((((uintptr_t)to | (uintptr_t)from | size) & 3u) != 0) {
        copy(to, from, size);
        return;
    }
    const uint32_t *words = (const uint32_t *)(const void *)from;
    uint32_t *target = (uint32_t *)(void *)to;
    size_t left = size / 4u;
    for (; left >= 4u; left -= 4u) {
        const uint32_t a = words[0], b = words[1], c = words[2], d = words[3];
        target[0] = a;
        target[1] = b;
        target[2] = c;
        target[3] = d;
        words += 4;
        target += 4;
    }
    for (; left > 0u; --left) {
        *target++ = *words++;
    }
}

static int32_t run(void)
{
    const size_t row_bytes = BENCH_INPUT_BYTES / BENCH_ROWS;
    const int8_t *from = bench_input;
    int32_t status = BENCH_BEGIN(&bench_arena);
    for (int32_t row = 0; status == 0 && row < BENCH_ROWS; ++row) {
        copy_row((int8_t *)(void *)BENCH_INPUT_ROW(&bench_arena), from, row_bytes);
        from += row_bytes;
        status = BENCH_PUSH_ROW(&bench_arena);
    }
    /* 1: the outputs are there, which 0 does not say */
    return status == 1 ? 0 : (status == 0 ? -1000 : status);
}

#else

static int32_t run(void)
{
    return BENCH_RUN(&bench_arena);
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

#endif

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
    int fresh = 1;
    do {
        bench_wait();
        if (fresh != 0) {
            BENCH_RESET(&bench_arena);
            fresh = 0;
        }
        load_inputs();
        bench_begin();
        bench_status = run();
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
