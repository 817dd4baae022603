/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that run row by row: a list of small operations on windows of rows, worked off in the order of a table. */
#ifndef MCUGEN_ROW_STREAM_H
#define MCUGEN_ROW_STREAM_H

#include "mcugen.h"

/* Returned by NAME_push_row: the last row is in, the outputs are there. */
#define MCUGEN_DONE 1
/* A row without NAME_begin before it, or behind the last one. */
#define MCUGEN_ERROR_ROWS (-3)

/* One operation. `in`, `more` and `out` are bytes from the start of the arena: for a layer its inputs and its output;
 * mcugen_row_move moves `more` bytes, mcugen_row_fill writes `more` bytes of value `in`.  Without `run` the next row of the
 * model's input is waited for, at `out`. */
struct mcugen_row_op {
    void (*run)(int8_t *arena, const struct mcugen_row_op *op);
    int32_t in, more, out;
};

/* The rows of a window that are still needed go to its start; they may overlap where they were. */
MCUGEN_SHARED void mcugen_row_move(int8_t *arena, const struct mcugen_row_op *op);
MCUGEN_SHARED void mcugen_row_move(int8_t *arena, const struct mcugen_row_op *op)
{
    const int8_t *from = arena + op->in;
    int8_t *to = arena + op->out;
    int32_t left = op->more;
    if (((op->in | op->out) & 3) == 0) {
        const uint32_t *words = (const uint32_t *)(const void *)from;
        uint32_t *target = (uint32_t *)(void *)to;
        for (; left >= 32; left -= 32) {
            const uint32_t a = words[0], b = words[1], c = words[2], d = words[3];
            const uint32_t e = words[4], f = words[5], g = words[6], h = words[7];
            target[0] = a;
            target[1] = b;
            target[2] = c;
            target[3] = d;
            target[4] = e;
            target[5] = f;
            target[6] = g;
            target[7] = h;
            words += 8;
            target += 8;
        }
        from = (const int8_t *)words;
        to = (int8_t *)target;
    }
    for (int32_t i = 0; i < left; ++i) {
        to[i] = from[i];
    }
}

MCUGEN_SHARED void mcugen_row_fill(int8_t *arena, const struct mcugen_row_op *op);
MCUGEN_SHARED void mcugen_row_fill(int8_t *arena, const struct mcugen_row_op *op)
{
    int8_t *to = arena + op->out;
    int32_t left = op->more;
    if ((op->out & 3) == 0) {
        const uint32_t four = (uint32_t)(uint8_t)op->in * 0x01010101u;
        uint32_t *target = (uint32_t *)(void *)to;
        for (; left >= 16; left -= 16) {
            target[0] = four;
            target[1] = four;
            target[2] = four;
            target[3] = four;
            target += 4;
        }
        to = (int8_t *)target;
    }
    for (int32_t i = 0; i < left; ++i) {
        to[i] = (int8_t)op->in;
    }
}

#endif /* MCUGEN_ROW_STREAM_H */
