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
    struct list culprits;       /* addresses of instructions that were off their word or halfword */
    int program_counter;        /* Unicorn's numbers; the status register is -1 where there are no IT bits */
    int stack_register;
    int status_register;
    int (*read_register)(void *engine, int number, void *value);
    int (*write_register)(void *engine, int number, const void *value);
};

struct recorder *recorder_new(const int registers[3], void *read_register, void *write_register);
void recorder_delete(struct recorder *recorder);
void recorder_clear(struct recorder *recorder);
const int64_t *recorder_items(const struct recorder *recorder, int which, size_t *count);
void recorder_on_block(void *engine, uint64_t address, uint32_t size, void *recorder);
void recorder_on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *recorder);

static int64_t read_word(struct recorder *self, void *engine, int number)
{
    uint64_t value = 0;
    self->read_register(engine, number, &value);
    return (int64_t)(value & 0xFFFFFFFFu);
}

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

/* `registers` are the program counter, the stack pointer and the status register. */
struct recorder *recorder_new(const int registers[3], void *read_register, void *write_register)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (recorder != NULL) {
        recorder->program_counter = registers[0];
        recorder->stack_register = registers[1];
        recorder->status_register = registers[2];
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
    free(recorder->culprits.items);
    free(recorder);
}

void recorder_clear(struct recorder *recorder)
{
    recorder->blocks.used = 0;
    recorder->stack_pointers.used = 0;
    recorder->unaligned.used = 0;
    recorder->culprits.used = 0;
}

/* 0: blocks, 1: stack pointers, 2: unaligned accesses, 3: the instructions that made them. */
const int64_t *recorder_items(const struct recorder *recorder, int which, size_t *count)
{
    const struct list *const lists[4] = {&recorder->blocks, &recorder->stack_pointers, &recorder->unaligned,
                                         &recorder->culprits};
    *count = lists[which]->used;
    return lists[which]->items;
}

void recorder_on_block(void *engine, uint64_t address, uint32_t size, void *recorder)
{
    struct recorder *self = recorder;
    append(&self->stack_pointers, read_word(self, engine, self->stack_register));
    append(&self->blocks, (int64_t)(address << 20 | size));
}

void recorder_on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *recorder)
{
    struct recorder *self = recorder;
    (void)kind;
    (void)value;
    if ((address & (uint64_t)(size - 1)) != 0) {
        append(&self->unaligned, (int64_t)self->blocks.used - 1);
        /* a double word may lie on any word */
        if ((address & (uint64_t)(size - 1) & 3u) != 0) {
            append(&self->culprits, read_word(self, engine, self->program_counter));
        }
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
