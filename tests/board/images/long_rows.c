/* SPDX-License-Identifier: MIT */
/* An image of a later minor ABI: longer rows and a longer table, the known fields in place. */
#include "plc_abi.h"

static sr_dint a = {.value = 11};
static sr_dint b = {.value = 22};

static void run(const sr_cycle *cycle)
{
    (void)cycle;
}

static int32_t init(const sr_host *host)
{
    (void)host;
    return 0;
}

struct row {
    sr_variable known;
    uint64_t later[2];
};
struct task {
    sr_task known;
    uint64_t later;
};
struct table {
    sr_plc_table known;
    uint64_t later;
};

static const struct task tasks[] = {
    {{.name = "MAIN", .interval_ns = 1000000, .run = run}, 6},
    {{.name = "SLOW", .interval_ns = 2000000, .priority = 1, .run = run}, 7}};
static const struct row rows[] = {{SR_ROW("A", DINT, a), {1, 2}}, {SR_ROW("B", DINT, b), {3, 4}}};

__attribute__((visibility("default"))) extern const struct table sr_plc_image;
const struct table sr_plc_image = {
    .known = {.magic = SR_ABI_MAGIC,
              .abi_version = SR_ABI_VERSION,
              .table_size = sizeof(struct table),
              .variable_size = sizeof(struct row),
              .task_size = sizeof(struct task),
              .name = "later",
              .build_id = "0",
              .tasks = &tasks[0].known,
              .variables = &rows[0].known,
              .task_count = 2,
              .variable_count = 2,
              .init = init},
    .later = 5,
};
