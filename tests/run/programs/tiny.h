/* A model of one byte in and one out, whose run does what -DTINY_... asks for. */
#ifndef TINY_H
#define TINY_H

#include <stdint.h>

struct tiny_arena {
    int32_t words[2];
};

int8_t *tiny_input(struct tiny_arena *arena);
int tiny_run(struct tiny_arena *arena);
const int8_t *tiny_output(const struct tiny_arena *arena);

#endif /* TINY_H */
