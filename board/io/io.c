/* SPDX-License-Identifier: MIT */
/* io.c - finds a driver by its name. */
#include "io.h"

#include <string.h>

static const struct io_driver *const drivers[] = {&io_none, &io_sim, &io_lockstep};

const struct io_driver *io_find(const char *spec, const char **argument)
{
    size_t length = strcspn(spec, ":");
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        const char *name = drivers[i]->name;
        if (strlen(name) == length && memcmp(name, spec, length) == 0) {
            *argument = spec + length + (spec[length] == ':' ? 1 : 0);
            return drivers[i];
        }
    }
    return NULL;
}

const char *io_names(void)
{
    return "none, sim:NAME, lockstep:NAME";
}
