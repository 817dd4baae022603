/* A model whose steps are assembly, so that what they cost can be counted by hand. */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdint.h>

struct counted_arena {
    int32_t words[16];
};

int8_t *counted_input(struct counted_arena *arena);
int counted_run(struct counted_arena *arena);
const int8_t *counted_output(const struct counted_arena *arena);

#endif /* COUNTED_H */
