/* A kernel that goes astray: it touches one byte of an operand wherever it is told to, or reads a word of its input there. */
#ifndef STRAY_H
#define STRAY_H

#include <stdint.h>

struct stray {
    int32_t size, operand, offset;
    const int8_t *weights;
};

static inline void stray(const struct stray *p, const int8_t *in, int8_t *out, void *scratch)
{
    const volatile int8_t *read[] = {in, p->weights, (const int8_t *)p};
    volatile int8_t *write[] = {out, scratch};
    for (int32_t i = 0; i < p->size; ++i) {
        out[i] = (int8_t)(in[i] / 2 + p->weights[i]);
    }
    if (p->operand == 5) {
        (void)*(const volatile int32_t *)(const void *)(in + p->offset);
    } else if (p->operand < 3) {
        (void)read[p->operand][p->offset];
    } else {
        write[p->operand - 3][p->offset] = 1;
    }
}

#endif /* STRAY_H */
