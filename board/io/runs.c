/* SPDX-License-Identifier: MIT */
/* runs.c - see runs.h. */
#include "runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
    uint16_t byte;
    uint16_t length; /* more than 1 only of whole bytes */
    uint8_t mask;
};

struct io_runs {
    uint32_t count;
    struct run runs[];
};

/* The end of the run that begins at `byte`. */
static uint32_t run_end(const uint8_t *mask, uint32_t byte)
{
    uint32_t end = byte + 1;
    while (mask[byte] == 0xFF && end < IO_AREA_BYTES && mask[end] == 0xFF)
        end++;
    return end;
}

static uint32_t find(const uint8_t *mask, struct run *runs)
{
    uint32_t count = 0;
    for (uint32_t byte = 0; byte < IO_AREA_BYTES;) {
        const uint32_t end = run_end(mask, byte);
        if (mask[byte] != 0) {
            if (runs != NULL)
                runs[count] = (struct run){(uint16_t)byte, (uint16_t)(end - byte), mask[byte]};
            count++;
        }
        byte = end;
    }
    return count;
}

int io_runs_create(struct io_runs **runs, const uint8_t *mask, sr_prefault prefault)
{
    const uint32_t count = find(mask, NULL);
    const size_t size = sizeof(struct io_runs) + count * sizeof(struct run);
    struct io_runs *made = malloc(size);
    *runs = made;
    if (made == NULL)
        return -ENOMEM;
    made->count = find(mask, made->runs);
    if (prefault != NULL)
        prefault(made, size);
    return 0;
}

void io_runs_destroy(struct io_runs *runs)
{
    free(runs);
}

static uint8_t mixed(uint8_t old, uint8_t new, uint8_t mask)
{
    return (uint8_t)((old & ~mask) | (new &mask));
}

void io_runs_copy(const struct io_runs *runs, uint8_t *to, const uint8_t *from)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct run run = runs->runs[i];
        if (run.mask == 0xFF)
            memcpy(to + run.byte, from + run.byte, run.length);
        else
            to[run.byte] = mixed(to[run.byte], from[run.byte], run.mask);
    }
}

void io_runs_fill(const struct io_runs *runs, uint8_t *area, uint8_t value)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct run run = runs->runs[i];
        for (uint32_t byte = run.byte; byte < (uint32_t)run.byte + run.length; byte++)
            area[byte] = mixed(area[byte], value, run.mask);
    }
}
