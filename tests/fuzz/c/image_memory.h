/* SPDX-License-Identifier: MIT */
/* image_memory.h - an input as the memory of an image. A word there whose upper half is DATA or
 * CODE is a pointer: its lower half is an offset, maybe beyond the end. */
#ifndef SR_IMAGE_MEMORY_H
#define SR_IMAGE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DATA UINT64_C(0x5eed0000)
#define CODE UINT64_C(0x5eed0001)

_Static_assert(sizeof(void *) == 8, "the upper half of a word tells what it points to");

/* Make pointers of such words. */
static inline void relocate(char *memory, size_t size, const char *code)
{
    for (size_t at = 0; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, memory + at, 8);
        const uint64_t kind = word >> 32;
        if (kind != DATA && kind != CODE)
            continue;
        word = (uint64_t)(uintptr_t)(kind == DATA ? memory : code) + (uint32_t)word;
        memcpy(memory + at, &word, 8);
    }
}

#endif
