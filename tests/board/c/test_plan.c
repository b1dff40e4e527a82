/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "harness.h"
#include "iec.h"
#include "plan.h"

static sr_bool flag = {.value = 7}; /* not a clean BOOL */
static sr_sint a1 = {.value = -1};
static sr_int a2 = {.value = -2};
static sr_dint a4 = {.value = -4}, b4 = {.value = 44};
static sr_lint a8 = {.value = -8};
static sr_lreal real = {.value = 1.5};
static sr_time time_ = {.value = -1};
static SR_STRING(5) text = {.value = {.length = 3, .text = "abc"}};
static SR_STRING(9) longer = {.value = {.length = 0}};

static const sr_variable table[] = {
    SR_ROW("FLAG", BOOL, flag),      /* 0 */
    SR_ROW("A1", SINT, a1),          /* 1 */
    SR_ROW("A2", INT, a2),           /* 2 */
    SR_ROW("A4", DINT, a4),          /* 3 */
    SR_ROW("B4", DINT, b4),          /* 4 */
    SR_ROW("A8", LINT, a8),          /* 5 */
    SR_ROW("REAL", LREAL, real),     /* 6 */
    SR_ROW("TIME", TIME, time_),     /* 7 */
    SR_ROW_STRING("TEXT", text),     /* 8 */
    SR_ROW_STRING("LONGER", longer), /* 9 */
    {.path = "BAD", .type = 31, .address = &a1, .flags = &a1.flags},
    {.path = "NOWHERE", .type = SR_TYPE_DINT},
};
#define ROWS (uint32_t)(sizeof table / sizeof table[0])
#define GOOD 10u

static void refuses_bad_lists(void)
{
    struct plan *plan;
    static const uint32_t beyond[] = {0, ROWS}, bad[] = {0, 10}, nowhere[] = {11}, big[] = {5, 5};
    CHECK_EQ(plan_create(&plan, table, ROWS, beyond, 2, 1000, NULL), -ENOENT);
    CHECK(plan == NULL);
    CHECK_EQ(plan_create(&plan, table, ROWS, bad, 2, 1000, NULL), -EINVAL);
    CHECK_EQ(plan_create(&plan, table, ROWS, nowhere, 1, 1000, NULL), -EINVAL);
    CHECK_EQ(plan_create(&plan, table, ROWS, big, 2, 15, NULL), -EMSGSIZE);
    CHECK_EQ(plan_create(&plan, table, ROWS, big, 2, UINT32_MAX, NULL), -EINVAL);
    CHECK_EQ(plan_create(&plan, table, ROWS, big, 2, 16, NULL), 0);
    plan_destroy(plan);
    plan_destroy(NULL);
}

static void empty_list_captures_nothing(void)
{
    struct plan *plan;
    uint8_t to[1] = {0x55};
    CHECK_EQ(plan_create(&plan, table, ROWS, NULL, 0, 0, NULL), 0);
    CHECK_EQ(plan_count(plan), 0);
    CHECK_EQ(plan_max_bytes(plan), 0);
    CHECK_EQ(plan_capture(plan, to), 0);
    CHECK_EQ(to[0], 0x55);
    plan_destroy(plan);
}

/* Any list, in any order, gives exactly what the values one by one give. */
static void equals_one_by_one(void)
{
    uint32_t random = 3;
    for (int round = 0; round < 2000; round++) {
        uint32_t indices[40], count = next_random(&random) % 41;
        for (uint32_t i = 0; i < count; i++) /* half of the time the one before again: runs */
            indices[i] = i > 0 && next_random(&random) % 2 == 0 ? indices[i - 1]
                                                                : next_random(&random) % GOOD;
        longer.value.length = (uint8_t)(next_random(&random) % 20);
        uint8_t expected[40 * 16], *to = malloc(40 * 16 + 1);
        uint32_t size = 0, most = 0;
        for (uint32_t i = 0; i < count; i++) {
            const sr_variable *row = &table[indices[i]];
            size += iec_to_wire(row->type, row->capacity, row->address, expected + size);
            most += iec_wire_max(row->type, row->capacity);
        }
        struct plan *plan;
        CHECK_EQ(plan_create(&plan, table, ROWS, indices, count, 1000, NULL), 0);
        CHECK_EQ(plan_count(plan), count);
        CHECK_EQ(plan_max_bytes(plan), most);
        uint8_t *exact = realloc(to, most + 1); /* the sanitizer sees a byte too many */
        CHECK(exact != NULL);
        CHECK_EQ(plan_capture(plan, exact + 1), size); /* not aligned */
        CHECK_BYTES(exact + 1, expected, size);
        free(exact);
        plan_destroy(plan);
    }
}

static void captures_the_present_value(void)
{
    struct plan *plan;
    static const uint32_t indices[] = {4, 0};
    uint8_t to[5];
    int32_t value;
    CHECK_EQ(plan_create(&plan, table, ROWS, indices, 2, 1000, NULL), 0);
    for (int32_t i = -3; i < 3; i++) {
        b4.value = i;
        CHECK_EQ(plan_capture(plan, to), 5);
        memcpy(&value, to, 4);
        CHECK_EQ(value, i);
        CHECK_EQ(to[4], 1);
    }
    plan_destroy(plan);
}

int main(void)
{
    RUN(refuses_bad_lists);
    RUN(empty_list_captures_nothing);
    RUN(equals_one_by_one);
    RUN(captures_the_present_value);
    return 0;
}
