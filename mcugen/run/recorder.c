/* SPDX-License-Identifier: Apache-2.0 */
/* Unicorn callbacks that record what runs: every basic block, the stack pointer at its start, and unaligned accesses. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Arm's IT bits in CPSR: Unicorn puts them into the CPU before a memory callback and leaves them there, and the next
 * block that it translates would run under that condition. */
#define IT_STATE 0x0600FC00u

struct list {
    int64_t *items;
    size_t used;
    size_t capacity;
};

struct recorder {
    struct list blocks;         /* address << 20 | size */
    struct list stack_pointers; /* one a block */
    struct list unaligned;      /* indices into blocks */
    int stack_register;         /* Unicorn's numbers; the status register is -1 where there are no IT bits */
    int status_register;
    int (*read_register)(void *engine, int number, void *value);
    int (*write_register)(void *engine, int number, const void *value);
};

struct recorder *recorder_new(int stack_register, int status_register, void *read_register, void *write_register);
void recorder_delete(struct recorder *recorder);
void recorder_clear(struct recorder *recorder);
const int64_t *recorder_items(const struct recorder *recorder, int which, size_t *count);
void recorder_on_block(void *engine, uint64_t address, uint32_t size, void *recorder);
void recorder_on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *recorder);

static void append(struct list *list, int64_t item)
{
    if (list->used == list->capacity) {
        list->capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
        list->items = realloc(list->items, list->capacity * sizeof list->items[0]);
        if (list->items == NULL) {
            abort();
        }
    }
    list->items[list->used++] = item;
}

struct recorder *recorder_new(int stack_register, int status_register, void *read_register, void *write_register)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder != NULL) {
        recorder->stack_register = stack_register;
        recorder->status_register = status_register;
        recorder->read_register = (int (*)(void *, int, void *))(uintptr_t)read_register;
        recorder->write_register = (int (*)(void *, int, const void *))(uintptr_t)write_register;
    }
    return recorder;
}

void recorder_delete(struct recorder *recorder)
{
    free(recorder->blocks.items);
    free(recorder->stack_pointers.items);
    free(recorder->unaligned.items);
    free(recorder);
}

void recorder_clear(struct recorder *recorder)
{
    recorder->blocks.used = 0;
    recorder->stack_pointers.used = 0;
    recorder->unaligned.used = 0;
}

/* 0: blocks, 1: stack pointers, 2: unaligned accesses. */
const int64_t *recorder_items(const struct recorder *recorder, int which, size_t *count)
{
    const struct list *list = which == 0 ? &recorder->blocks : which == 1 ? &recorder->stack_pointers : &recorder->unaligned;
    *count = list->used;
    return list->items;
}

void recorder_on_block(void *engine, uint64_t address, uint32_t size, void *recorder)
{
    struct recorder *self = recorder;
    uint64_t stack_pointer = 0;
    self->read_register(engine, self->stack_register, &stack_pointer);
    append(&self->stack_pointers, (int64_t)(stack_pointer & 0xFFFFFFFFu));
    append(&self->blocks, (int64_t)(address << 20 | size));
}

void recorder_on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *recorder)
{
    struct recorder *self = recorder;
    (void)kind;
    (void)value;
    if ((address & (uint64_t)(size - 1)) != 0) {
        append(&self->unaligned, (int64_t)self->blocks.used - 1);
    }
    if (self->status_register >= 0) {
        uint32_t status = 0;
        self->read_register(engine, self->status_register, &status);
        if ((status & IT_STATE) != 0) {
            status &= ~IT_STATE;
            self->write_register(engine, self->status_register, &status);
        }
    }
}
