/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "guided.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../board/c/harness.h"
#include "platform.h"

#define KEPT_MOST 4096u
#define EDGES 65536u

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input kept[KEPT_MOST];
static uint32_t kept_count;
static uint8_t edges[EDGES]; /* of all runs */
static bool is_new;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    static uintptr_t before;
    const uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uint8_t *edge = &edges[(here ^ (before >> 1)) % EDGES];
    before = here;
    is_new = is_new || *edge == 0;
    *edge = 1;
}

/* For the modules under test: no time passes. */
int64_t platform_now_ns(void)
{
    return 0;
}

uint8_t *guided_add(size_t size)
{
    CHECK(size <= GUIDED_MOST && kept_count < KEPT_MOST);
    uint8_t *bytes = calloc(size + 1, 1);
    CHECK(bytes != NULL);
    kept[kept_count++] = (struct input){bytes, size};
    return bytes;
}

/* Headers lie at both ends of a file. */
static size_t place(size_t size, uint32_t *state)
{
    const size_t near = size < 256 ? size : 256;
    switch (next_random(state) % 4) {
    case 0:
        return next_random(state) % (near + 1);
    case 1:
        return size - next_random(state) % (near + 1);
    default:
        return next_random(state) % (size + 1);
    }
}

static size_t mutate(uint8_t *bytes, size_t size, uint32_t *state)
{
    static const uint64_t numbers[] = {0,         1,          0x7f,          0xff,
                                       0x7fff,    0xffff,     INT32_MAX,     UINT32_MAX,
                                       INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
    const size_t at = place(size, state);
    const size_t width = (size_t)1 << next_random(state) % 4;
    uint64_t number = numbers[next_random(state) % (sizeof numbers / sizeof *numbers)];
    switch (next_random(state) % 5) {
    case 0:
        if (at < size)
            bytes[at] ^= (uint8_t)(1u << next_random(state) % 8);
        return size;
    case 1: /* a number, where numbers lie */
        if ((at & ~(width - 1)) + width <= size)
            memcpy(bytes + (at & ~(width - 1)), &number, width);
        return size;
    case 2: /* a little more or less */
        if ((at & ~(width - 1)) + width <= size) {
            memcpy(&number, bytes + (at & ~(width - 1)), width);
            number += next_random(state) % 65 - (uint64_t)32;
            memcpy(bytes + (at & ~(width - 1)), &number, width);
        }
        return size;
    case 3: { /* what stands elsewhere */
        const size_t from = place(size, state) & ~(width - 1);
        if (from + width <= size && (at & ~(width - 1)) + width <= size)
            memmove(bytes + (at & ~(width - 1)), bytes + from, width);
        return size;
    }
    default:
        return next_random(state) % 16 == 0 ? at : size;
    }
}

void guided_run(guided_target target, uint32_t count, uint32_t seed)
{
    uint32_t state = seed;
    const int file = open("input", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0 && ftruncate(file, GUIDED_MOST) == 0 && kept_count > 0);
    /* In the file, whatever becomes of this process. */
    uint8_t *bytes = mmap(NULL, GUIDED_MOST, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(bytes != MAP_FAILED);
    for (uint32_t n = 0; n < count; n++) {
        const bool first = n < kept_count; /* each one that was added, as it is */
        const struct input *from = &kept[first ? n : next_random(&state) % kept_count];
        size_t size = from->size;
        memset(bytes, 0, GUIDED_MOST);
        memcpy(bytes, from->bytes, size);
        for (uint32_t k = first ? 0 : 1 + next_random(&state) % 4; k > 0; k--)
            size = mutate(bytes, size, &state);
        is_new = false;
        uint8_t *exact = malloc(size); /* so that the sanitizer knows its end */
        CHECK(exact != NULL || size == 0);
        if (size > 0)
            memcpy(exact, bytes, size);
        target(exact, size);
        free(exact);
        if (is_new && !first && kept_count < KEPT_MOST)
            memcpy(guided_add(size), bytes, size);
    }
    printf("ok %" PRIu32 " inputs, %" PRIu32 " kept\n", count, kept_count);
    munmap(bytes, GUIDED_MOST);
    close(file);
    for (uint32_t n = 0; n < kept_count; n++)
        free(kept[n].bytes);
}
