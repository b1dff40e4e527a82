/* SPDX-License-Identifier: MIT */
/* none.c - the driver of a board without I/O. It needs no state and cannot fail but for an
 * argument, which it would silently ignore otherwise. */
#include <errno.h>
#include <stdio.h>

#include "io.h"

static int none_open(void **state, const char *argument, char *why, size_t why_size)
{
    *state = NULL;
    if (argument[0] != '\0') {
        snprintf(why, why_size, "I/O driver \"none\" takes no argument, got \"%s\"", argument);
        return -EINVAL;
    }
    return 0;
}

SR_RT static bool none_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    (void)now_ns;
    (void)state;
    (void)inputs;
    return false;
}

SR_RT static void none_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    (void)state;
    (void)outputs;
    (void)tick;
}

SR_RT static void none_safe(void *state)
{
    (void)state;
}

static void none_close(void *state)
{
    (void)state;
}

const struct io_driver io_none = {
    .name = "none",
    .rt_safe = true,
    .open = none_open,
    .read = none_read,
    .write = none_write,
    .safe = none_safe,
    .close = none_close,
};
