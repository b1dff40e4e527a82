/* SPDX-License-Identifier: MIT */
/* Far more variables than a cycle has time to copy. */
#include "plc_abi.h"

#define MANY 60000u

static sr_dint values[MANY];
static char names[MANY][8];
static sr_variable variables[MANY];

__attribute__((constructor)) static void name_them(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t rest = i;
        names[i][0] = 'V';
        for (int at = 5; at > 0; at--, rest /= 10)
            names[i][at] = (char)('0' + rest % 10);
        variables[i] = (sr_variable){.path = names[i],
                                     .address = &values[i].value,
                                     .flags = &values[i].flags,
                                     .type = SR_TYPE_DINT};
    }
}

static void run(const sr_cycle *cycle)
{
    (void)cycle;
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 100000, .run = run}};

SR_PLC_IMAGE(NAME, tasks, variables, NULL, NULL);
