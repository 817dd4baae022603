#include "pair.h"

extern const int8_t pair_weights[4 * 3 * 3 * 4];
extern const int32_t pair_bias[4];

#ifdef MCUGEN_TRACE
#define TRACE(step, output, data, size) pair_trace(step, output, data, size)
#else
#define TRACE(step, output, data, size) ((void)0)
#endif

static int8_t saturate(int32_t value)
{
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

__attribute__((noinline)) static void pair_step_0(struct pair_arena *arena)
{
    int8_t *out = arena->features;
    for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 4; ++x) {
            for (int o = 0; o < 4; ++o) {
                int32_t sum = pair_bias[o];
                for (int k = 0; k < 3; ++k) {
                    const int8_t *in = arena->image + ((y + k) * 6 + x) * 4;
                    const int8_t *weights = pair_weights + (o * 3 + k) * 12;
                    for (int i = 0; i < 12; ++i) {
                        sum += (int32_t)in[i] * weights[i];
                    }
                }
                *out++ = saturate((int32_t)(((int64_t)sum * 5000000 + ((int64_t)1 << 31)) >> 32) - 3);
            }
        }
    }
}

__attribute__((noinline)) static void pair_step_1(struct pair_arena *arena)
{
    for (int i = 0; i < 64; ++i) {
        const int divisor = arena->divisors[i];
        arena->quotients[i] = saturate(divisor == 0 ? 0 : arena->features[i] * 8 / divisor);
    }
}

int8_t *pair_input_0(struct pair_arena *arena)
{
    return arena->image;
}

int8_t *pair_input_1(struct pair_arena *arena)
{
    return arena->divisors;
}

const int8_t *pair_output_0(const struct pair_arena *arena)
{
    return arena->features;
}

const int8_t *pair_output_1(const struct pair_arena *arena)
{
    return arena->quotients;
}

int pair_run(struct pair_arena *arena)
{
    pair_step_0(arena);
    TRACE(0, 0, arena->features, sizeof arena->features);
    pair_step_1(arena);
    TRACE(1, 0, arena->quotients, sizeof arena->quotients);
    return 0;
}
