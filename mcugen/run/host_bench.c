/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model over many samples on this computer: as a library, or with HOST_PROGRAM as a program
 *     program run|trace INPUTS OUTPUTS
 * that reads samples from one file and writes output bytes, or trace records, to another.
 * mcugen_bench.h is generated: it includes the model's header and defines the BENCH_ macros used here. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcugen_bench.h"

#define POISON 0xA5

size_t bench_arena_size(void);
int bench_batch(void *memory, const int8_t *in, int8_t *out, size_t count, size_t *done);
void bench_reset(void *memory);

void bench_reset(void *memory)
{
    BENCH_ARENA *arena = memory;
    BENCH_RESET(arena);
}

size_t bench_arena_size(void)
{
    return sizeof(BENCH_ARENA);
}

static int run_sample(BENCH_ARENA *arena, const int8_t *in, int8_t *out)
{
#ifdef BENCH_ROWS
    const size_t row_bytes = BENCH_INPUT_BYTES / BENCH_ROWS;
    int status = BENCH_BEGIN(arena);
    for (int row = 0; status == 0 && row < BENCH_ROWS; ++row) {
        memcpy(BENCH_INPUT_ROW(arena), in + (size_t)row * row_bytes, row_bytes);
        status = BENCH_PUSH_ROW(arena);
    }
    /* 1: the outputs are there, which 0 does not say */
    status = status == 1 ? 0 : (status == 0 ? -1000 : status);
#else
#define LOAD(input, size)            \
    memcpy(input(arena), in, size); \
    in += (size);
    BENCH_INPUTS(LOAD)
    const int status = BENCH_RUN(arena);
#endif
#define STORE(output, size)            \
    memcpy(out, output(arena), size); \
    out += (size);
    BENCH_OUTPUTS(STORE)
    return status;
}

/* Runs `count` samples until one returns an error; `done` tells how many were run. */
int bench_batch(void *memory, const int8_t *in, int8_t *out, size_t count, size_t *done)
{
    for (*done = 0; *done < count; ++*done) {
        const int status = run_sample(memory, in + *done * BENCH_INPUT_BYTES, out + *done * BENCH_OUTPUT_BYTES);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

#ifdef MCUGEN_TRACE
/* Records one after another: step and output as int32, size as uint64, then the bytes. */
static unsigned char *trace_data;
static size_t trace_used;
static size_t trace_capacity;

void BENCH_TRACE(int step, int output, const void *data, size_t size);
const unsigned char *bench_trace_data(void);
size_t bench_trace_size(void);
void bench_trace_clear(void);

static void append(const void *data, size_t size)
{
    if (trace_used + size > trace_capacity) {
        trace_capacity = 2 * (trace_used + size);
        trace_data = realloc(trace_data, trace_capacity);
        if (trace_data == NULL) {
            abort();
        }
    }
    memcpy(trace_data + trace_used, data, size);
    trace_used += size;
}

void BENCH_TRACE(int step, int output, const void *data, size_t size)
{
    const int32_t which[2] = {step, output};
    const uint64_t bytes = size;
    append(which, sizeof which);
    append(&bytes, sizeof bytes);
    append(data, size);
}

const unsigned char *bench_trace_data(void)
{
    return trace_data;
}

size_t bench_trace_size(void)
{
    return trace_used;
}

void bench_trace_clear(void)
{
    free(trace_data);
    trace_data = NULL;
    trace_used = 0;
    trace_capacity = 0;
}
#endif

#ifdef HOST_PROGRAM
static BENCH_ARENA program_arena;
static int8_t program_input[BENCH_INPUT_BYTES];
static int8_t program_output[BENCH_OUTPUT_BYTES];

int main(int count, char **arguments)
{
    if (count != 4) {
        return 2;
    }
    FILE *inputs = fopen(arguments[2], "rb");
    FILE *outputs = fopen(arguments[3], "wb");
    if (inputs == NULL || outputs == NULL) {
        return 2;
    }
    const int tracing = strcmp(arguments[1], "trace") == 0;
    memset(&program_arena, POISON, sizeof program_arena);
    bench_reset(&program_arena);
    while (fread(program_input, 1, sizeof program_input, inputs) == sizeof program_input) {
        const int status = run_sample(&program_arena, program_input, program_output);
        if (status != 0) {
            fprintf(stderr, "status %d\n", status);
            return 3;
        }
        if (!tracing) {
            fwrite(program_output, 1, sizeof program_output, outputs);
        }
    }
#ifdef MCUGEN_TRACE
    if (tracing) {
        fwrite(trace_data, 1, trace_used, outputs);
    }
    bench_trace_clear();
#endif
    fclose(inputs);
    return fclose(outputs) != 0;
}
#endif
