/* SPDX-License-Identifier: MIT */
/* Built with -nostartfiles: all that it has in its writable segment is read-only in the end. */
#include "plc_abi.h"

static void run(const sr_cycle *cycle)
{
    (void)cycle;
}

static int32_t init(const sr_host *host)
{
    (void)host;
    return 0;
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};

__attribute__((visibility("default"))) extern const sr_plc_table sr_plc_image;
const sr_plc_table sr_plc_image = {
    .magic = SR_ABI_MAGIC,
    .abi_version = SR_ABI_VERSION,
    .table_size = sizeof(sr_plc_table),
    .variable_size = sizeof(sr_variable),
    .task_size = sizeof(sr_task),
    .name = "constant",
    .build_id = "0",
    .tasks = tasks,
    .task_count = 1,
    .init = init,
};
