/* SPDX-License-Identifier: MIT */
/* Calls Linux in its cycle, when it is told to. */
#define _GNU_SOURCE
#include "plc_abi.h"

#include <sys/syscall.h>
#include <unistd.h>

static sr_udint counter;
static sr_bool call;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    SR_SET(counter, counter.value + 1);
    if (call.value) {
        (void)syscall(SYS_getppid);
        SR_SET(call, 0);
    }
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_ROW("COUNTER", UDINT, counter),
    SR_ROW("CALL", BOOL, call),
};

SR_PLC_IMAGE("linux_call", tasks, variables, 0, 0);
