/* A model with two inputs and two outputs: a 3x3 convolution of 6x6x4, and a step with divisions. */
#ifndef PAIR_H
#define PAIR_H

#include <stddef.h>
#include <stdint.h>

struct pair_arena {
    int32_t align;
    int8_t image[6 * 6 * 4];
    int8_t divisors[64];
    int8_t features[4 * 4 * 4];
    int8_t quotients[64];
};

int8_t *pair_input_0(struct pair_arena *arena);
int8_t *pair_input_1(struct pair_arena *arena);
int pair_run(struct pair_arena *arena);
const int8_t *pair_output_0(const struct pair_arena *arena);
const int8_t *pair_output_1(const struct pair_arena *arena);
void pair_trace(int step, int output, const void *data, size_t size);

#endif /* PAIR_H */
