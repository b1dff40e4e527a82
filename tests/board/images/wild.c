/* SPDX-License-Identifier: MIT */
/* Has its lamp on, and on order destroys the main thread's stack: nothing can contain that. */
#define _GNU_SOURCE
#include "plc_abi.h"

#include <dlfcn.h>
#include <string.h>

static sr_bool lamp, order;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(lamp, 1);
    if (order.value) {
        char **end = dlsym(RTLD_DEFAULT, "__libc_stack_end");
        if (end != NULL)
            memset(*end - 32768, 0x55, 32768);
    }
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 2000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW_OUTPUT("LAMP", "%QX0.0", BOOL, lamp),
    SR_ROW("ORDER", BOOL, order),
};

SR_PLC_IMAGE("wild", tasks, variables, NULL, NULL);
