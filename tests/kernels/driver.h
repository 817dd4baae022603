/* Runs packed cases: each operand of a kernel call in a buffer of its exact size, at the edge of memory that may be touched.
 *
 * The platform gives `place(number, size, edge)`: `size` bytes that end (edge 0: at the next word; 2: at that byte) or begin
 * (edge 1) where memory ends. The generated file gives `kernels`. `state` tells which case runs. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define GUARD 0x5A
#define GUARD_BYTES 16
#define MOST_OPERANDS 8

struct kernel {
    size_t params;
    void (*set)(void *params, const int32_t *values, const void *const *constants);
    void (*call)(const void *params, const void *const *inputs, void *out, void *scratch);
};

/* The head of a packed case; then the fields' values, constants and inputs (each: bytes, over-read, data) and what is expected. */
struct head {
    int32_t words, kernel, values, constants, inputs, scratch, size;
    int32_t reader, reader_offset, out_offset, arena; /* reader: the input that lies in the output's buffer, or -1 */
};

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
static uint8_t *place(int number, size_t size, int edge);
extern const struct kernel kernels[];
static volatile int32_t state[2] __attribute__((used));

static int differ(const uint8_t *a, const uint8_t *b, int32_t size)
{
    int found = 0;
    for (int32_t i = 0; i < size; ++i) {
        found |= a[i] ^ b[i];
    }
    return found;
}

#ifdef GUARDED /* where the platform's buffers have writable bytes on the side that is not at an edge */
static void guard(uint8_t *buffer, size_t size, int edge)
{
    memset(edge == 1 ? buffer + size : buffer - GUARD_BYTES, GUARD, GUARD_BYTES);
    if (edge == 0) {
        memset(buffer + size, GUARD, (0u - size) & 3u);
    }
}

static int written(const uint8_t *buffer, size_t size, int edge)
{
    const uint8_t *side = edge == 1 ? buffer + size : buffer - GUARD_BYTES;
    size_t slack = edge == 0 ? (0u - size) & 3u : 0u;
    int found = 0;
    for (size_t i = 0; i < GUARD_BYTES; ++i) {
        found |= side[i] ^ GUARD;
    }
    for (size_t i = 0; i < slack; ++i) {
        found |= buffer[size + i] ^ GUARD;
    }
    return found;
}
#else
#define guard(buffer, size, edge) ((void)0)
#define written(buffer, size, edge) 0
#endif

/* Places the array at `*from` as operand `number`, and steps over it. */
static uint8_t *place_array(const int32_t **from, int number, int edge)
{
    if ((*from)[0] < 0) { /* the null pointer */
        *from += 2;
        return 0;
    }
    size_t size = (size_t)(*from)[0], over_read = (size_t)(*from)[1];
    uint8_t *to = place(number, size + over_read, edge);
    memset(to + size, GUARD, over_read);
    memcpy(to, *from + 2, size);
    *from += 2 + (size + 3) / 4;
    return to;
}

static int run_case(const struct head *head, int edge)
{
    const struct kernel *kernel = &kernels[head->kernel];
    const int32_t *values = (const int32_t *)(head + 1), *next = values + head->values;
    const void *constants[MOST_OPERANDS], *inputs[MOST_OPERANDS];
    const int32_t *originals[MOST_OPERANDS];
    size_t arena = (size_t)head->arena, scratch_size = (size_t)(head->scratch + 3) / 4 * 4;
    int number = 0;
    uint8_t *buffer = place(number++, arena, edge), *scratch = place(number++, scratch_size, edge);
    uint8_t *params = place(number++, kernel->params, edge), *out = buffer + head->out_offset;
    memset(buffer, GUARD, arena);
    memset(scratch, GUARD, scratch_size);
    guard(buffer, arena, edge);
    guard(scratch, scratch_size, edge);
    for (int32_t i = 0; i < head->constants; ++i) {
        constants[i] = place_array(&next, number++, edge);
    }
    for (int32_t i = 0; i < head->inputs; ++i) {
        originals[i] = next;
        inputs[i] = place_array(&next, number++, edge);
        if (i == head->reader) {
            inputs[i] = memcpy(buffer + head->reader_offset, originals[i] + 2, (size_t)originals[i][0]);
        }
    }
    memset(params, 0, kernel->params); /* fields that no case sets */
    if (kernel->set != 0) {
        kernel->set(params, values, constants);
    }
    kernel->call(params, inputs, out, scratch);
    int wrong = differ(out, (const uint8_t *)next, head->size);
    wrong |= written(buffer, arena, edge) | written(scratch, scratch_size, edge);
    for (int32_t i = 0; i < head->inputs; ++i) {
        if (i != head->reader) {
            wrong |= differ(inputs[i], (const uint8_t *)(originals[i] + 2), originals[i][0]);
        }
    }
    return wrong;
}

/* 0, or 1 + the number of the first case that differs, which `state` names with its edge. */
static int run_all(const int32_t *packed, int edges)
{
    int index = 0;
    for (const int32_t *next = packed; *next != 0; next += *next, ++index) {
        for (int edge = 0; edge < edges; ++edge) {
            state[0] = index;
            state[1] = edge;
            if (run_case((const struct head *)next, edge)) {
                return index + 1;
            }
        }
    }
    return 0;
}

#endif /* DRIVER_H */
