/* SPDX-License-Identifier: MIT */
/* exchange.c - see exchange.h. */
#define _GNU_SOURCE
#include "exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So that no two buffers share a cache line. */
static size_t stride(uint32_t size)
{
    return ((size_t)size + SR_CACHE_LINE - 1) & ~(size_t)(SR_CACHE_LINE - 1);
}

int exchange_create(struct exchange **exchange, uint32_t size, sr_prefault prefault)
{
    void *memory;
    *exchange = NULL;
    if (size == 0 || size > INT32_MAX)
        return -EINVAL;
    const size_t bytes = sizeof(struct exchange) + 3 * stride(size);
    if (posix_memalign(&memory, SR_CACHE_LINE, bytes) != 0)
        return -ENOMEM;
    memset(memory, 0, bytes);
    struct exchange *made = memory;
    atomic_init(&made->middle, 1);
    made->back = 0;
    made->front = 2;
    made->size = size;
    for (size_t i = 0; i < 3; i++)
        made->buffers[i] = (uint8_t *)memory + sizeof *made + i * stride(size);
    if (prefault != NULL)
        (void)prefault(memory, bytes);
    *exchange = made;
    return 0;
}

void exchange_destroy(struct exchange *exchange)
{
    free(exchange);
}
