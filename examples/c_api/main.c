/*
 * How firmware calls a generated model: write the input, run, read the output.
 *
 *     mcugen build examples/digits/digits.onnx --target cortex-m4 --calibrate examples/digits/calib.npz
 *
 * writes digits.h, which declares every digits_ name below. Only the calls are the model's own; everything else here
 * stands for your application. main returns the recognised digit, so that it needs no console: on a PC,
 * run the program and print its exit status.
 */
#include <stddef.h>
#include <stdint.h>

#include "digits.h"

#define PIXELS 64
#define CLASSES 10
#define BRIGHTEST 16.0f

/* All the memory that the model needs. It is yours: static, on a stack, or shared with another model between runs. */
static struct digits_arena arena;

/* A handwritten 3 as the camera gives it: 8 rows of 8 pixels, 0 is paper and 16 is ink. */
static const uint8_t image[PIXELS] = {
     0,  0, 12, 16, 15,  1,  0,  0,
     0,  5, 16, 10, 15,  8,  0,  0,
     0,  1,  7,  3, 14,  6,  0,  0,
     0,  0,  0, 12, 16,  7,  0,  0,
     0,  0,  0,  3, 13, 16,  6,  0,
     0,  0,  4,  0,  0, 15, 11,  0,
     0,  2, 16, 10, 11, 16,  7,  0,
     0,  0, 10, 16, 16, 10,  1,  0,
};

/* Return the digit that the pixels show, or a negative error of digits_run(). */
static int recognise(const uint8_t *pixels)
{
    /* A run may overwrite its input, so the input is written before each run. */
    int8_t *input = digits_input(&arena);
    for (size_t i = 0; i < PIXELS; ++i) {
        /* The model was trained on pixels in 0..1. */
        input[i] = digits_quantize_input((float)pixels[i] / BRIGHTEST);
    }

    const int error = digits_run(&arena);
    if (error != 0) {
        return error;
    }

    /* One scale for all outputs: the largest integer is the largest logit, and nothing needs to be dequantized. */
    const int8_t *output = digits_output(&arena);
    int best = 0;
    for (int digit = 1; digit < CLASSES; ++digit) {
        if (output[digit] > output[best]) {
            best = digit;
        }
    }

    /* Reject what the model is unsure of: a threshold in the units of the float model. */
    if (digits_dequantize_output(output[best]) < 0.0f) {
        return CLASSES;
    }
    return best;
}

int main(void)
{
    return recognise(image);
}
