/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "harness.h"
#include "iec.h"
#include "retain.h"

static sr_dint plain, kept, held;
static SR_STRING(5) text;
/* As matiec holds them: a pointer and its flags, and two longs. */
static struct {
    int16_t *value;
    uint8_t flags;
} external;
static int16_t behind;
static struct {
    long value[2];
    uint8_t flags;
} span;

enum { PLAIN, KEPT, HELD, TEXT, EXTERNAL, SPAN, ROWS };
static const sr_variable table[ROWS] = {
    [PLAIN] = SR_ROW("PLAIN", DINT, plain),
    [KEPT] = SR_ROW_RETAIN("KEPT", DINT, kept),
    [HELD] = SR_ROW_RETAIN("HELD", DINT, held),
    [TEXT] = SR_ROW_STRING_RETAIN("TEXT", text),
    [EXTERNAL] = {.path = "EXTERNAL",
                  .address = &external,
                  .flags = &external.flags,
                  .type = SR_TYPE_INT | IEC_MATIEC | IEC_POINTER,
                  .options = SR_RETAIN},
    [SPAN] = {.path = "SPAN",
              .address = &span,
              .flags = &span.flags,
              .type = SR_TYPE_TIME | IEC_MATIEC,
              .options = SR_RETAIN},
};

static uint32_t restore(uint32_t index, const void *wire, uint32_t size)
{
    const struct force_order order = {.index = index, .size = size, .wire = wire};
    return retain_restore(table, ROWS, &order, 1);
}

static void lists_what_is_kept(void)
{
    uint32_t indices[ROWS] = {9, 9, 9, 9, 9, 9};
    CHECK_EQ(retain_list(table, ROWS, NULL, 0), 5);
    CHECK_EQ(retain_list(table, ROWS, indices, 2), 5);
    CHECK_EQ(indices[1], HELD);
    CHECK_EQ(indices[2], 9);
    CHECK_EQ(retain_list(table, ROWS, indices, ROWS), 5);
    CHECK_EQ(indices[4], SPAN);
    CHECK_EQ(retain_list(NULL, 0, indices, ROWS), 0);
}

static void gives_every_kind_of_value_back(void)
{
    static const uint8_t time[16] = {3, 0, 0, 0, 0, 0, 0, 0, 4};
    CHECK_EQ(restore(KEPT, "\1\0\0\0", 4), 0);
    CHECK_EQ(kept.value, 1);
    CHECK_EQ(restore(TEXT, "\3abc", 4), 0);
    CHECK_EQ(text.value.length, 3);
    CHECK_BYTES(text.value.text, "abc", 3);
    CHECK_EQ(restore(SPAN, time, 16), 0);
    CHECK_EQ(span.value[0], 3);
    CHECK_EQ(span.value[1], 4);
    external.value = NULL;
    CHECK_EQ(restore(EXTERNAL, "\7\0", 2), 0);
    external.value = &behind;
    CHECK_EQ(restore(EXTERNAL, "\7\0", 2), 0);
    CHECK_EQ(behind, 7);
}

static void leaves_the_rest_alone(void)
{
    CHECK_EQ(restore(PLAIN, "\1\0\0\0", 4), 0); /* not retain: an order for it is no mistake */
    CHECK_EQ(plain.value, 0);
    held.flags = SR_FORCED;
    CHECK_EQ(restore(HELD, "\1\0\0\0", 4), 0);
    CHECK_EQ(held.value, 0);
    external.flags = IEC_MATIEC_FORCED;
    CHECK_EQ(restore(EXTERNAL, "\x8\0", 2), 0);
    CHECK_EQ(behind, 7);
}

static void tells_what_does_not_fit(void)
{
    const struct force_order orders[] = {{KEPT, 2, (const uint8_t *)"\1\0"},
                                         {TEXT, 7, (const uint8_t *)"\6abcdef"},
                                         {ROWS, 0, NULL},
                                         {KEPT, 4, (const uint8_t *)"\2\0\0\0"}};
    CHECK_EQ(retain_restore(table, ROWS, orders, 4), 3);
    CHECK_EQ(kept.value, 2);
    CHECK_EQ(text.value.length, 3);
}

int main(void)
{
    RUN(lists_what_is_kept);
    RUN(gives_every_kind_of_value_back);
    RUN(leaves_the_rest_alone);
    RUN(tells_what_does_not_fit);
    return 0;
}
