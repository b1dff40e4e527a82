/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>

#include "harness.h"
#include "iec.h"

static void knows_every_type(void)
{
    for (unsigned int type = 0; type < 256; type++) {
        const unsigned int bare = type & IEC_TYPE;
        bool known = bare >= SR_TYPE_BOOL && bare <= SR_TYPE_STRING;
        CHECK_EQ(iec_is_type((uint8_t)type), known && type == bare);
        CHECK_EQ(iec_size((uint8_t)type, 10) != 0, known);
        CHECK_EQ(iec_wire_max((uint8_t)type, 10) != 0, known);
        CHECK_EQ(strcmp(iec_name((uint8_t)type), "?") != 0, known);
    }
    CHECK_EQ(strcmp(iec_name(SR_TYPE_STRING), "STRING"), 0);
    CHECK_EQ(strcmp(iec_name(SR_TYPE_LWORD), "LWORD"), 0);
}

/* Sizes as plc_abi.h's own types have them. */
static void sizes_match_the_abi(void)
{
    SR_STRING(80) text;
    CHECK_EQ(iec_size(SR_TYPE_BOOL, 0), sizeof((sr_bool *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_INT, 0), sizeof((sr_int *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_UDINT, 0), sizeof((sr_udint *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_LWORD, 0), sizeof((sr_lword *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_REAL, 0), sizeof((sr_real *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_LREAL, 0), sizeof((sr_lreal *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_DT, 0), sizeof((sr_dt *)0)->value);
    CHECK_EQ(iec_size(SR_TYPE_STRING, 80), sizeof text.value);
    CHECK_EQ(iec_size(SR_TYPE_STRING, 254), IEC_MAX_BYTES);
    CHECK_EQ(iec_wire_max(SR_TYPE_TIME, 0), 16);
}

/* Every plain type: any bytes go to the wire and come back. */
static void plain_types_round_trip(void)
{
    const uint8_t bytes[8] = {0x01, 0x80, 0xFF, 0x7F, 0xC0, 0x00, 0xF0, 0x3F};
    for (uint8_t type = SR_TYPE_SINT; type <= SR_TYPE_LREAL; type++) {
        uint8_t wire[16] = {0}, native[16] = {0};
        uint32_t size = iec_to_wire(type, 0, bytes, wire);
        CHECK_EQ(size, iec_size(type, 0));
        CHECK_BYTES(wire, bytes, size);
        CHECK_EQ(iec_from_wire(type, 0, wire, size, native), 0);
        CHECK_BYTES(native, bytes, size);
        CHECK_EQ(native[size], 0); /* nothing beyond */
        CHECK_EQ(iec_from_wire(type, 0, wire, size + 1, native), -EINVAL);
        CHECK_EQ(iec_from_wire(type, 0, wire, size - 1, native), -EINVAL);
    }
}

static void bool_is_0_or_1(void)
{
    for (unsigned int value = 0; value < 256; value++) {
        uint8_t from = (uint8_t)value, wire = 77, native = 77;
        CHECK_EQ(iec_to_wire(SR_TYPE_BOOL, 0, &from, &wire), 1);
        CHECK_EQ(wire, value != 0);
        CHECK_EQ(iec_from_wire(SR_TYPE_BOOL, 0, &from, 1, &native), 0);
        CHECK_EQ(native, value != 0);
    }
    uint8_t native;
    CHECK_EQ(iec_from_wire(SR_TYPE_BOOL, 0, (const uint8_t *)"\1\1", 2, &native), -EINVAL);
    CHECK_EQ(iec_from_wire(SR_TYPE_BOOL, 0, (const uint8_t *)"", 0, &native), -EINVAL);
}

static void check_time(int64_t value, int64_t sec, int64_t nsec)
{
    uint8_t wire[16];
    int64_t pair[2], back = 0;
    CHECK_EQ(iec_to_wire(SR_TYPE_TIME, 0, &value, wire), 16);
    memcpy(pair, wire, 16);
    CHECK_EQ(pair[0], sec);
    CHECK_EQ(pair[1], nsec);
    CHECK_EQ(iec_from_wire(SR_TYPE_TIME, 0, wire, 16, &back), 0);
    CHECK_EQ(back, value);
}

static void times_are_floored(void)
{
    check_time(0, 0, 0);
    check_time(1, 0, 1);
    check_time(-1, -1, 999999999);
    check_time(1500000000, 1, 500000000);
    check_time(-1500000000, -2, 500000000);
    check_time(-1000000000, -1, 0);
    check_time(INT64_MAX, 9223372036, 854775807);
    check_time(INT64_MIN, -9223372037, 145224192);
}

static int from_pair(int64_t sec, int64_t nsec, int64_t *value)
{
    int64_t pair[2] = {sec, nsec};
    uint8_t wire[16];
    memcpy(wire, pair, 16);
    return iec_from_wire(SR_TYPE_DT, 0, wire, 16, value);
}

static void times_from_other_forms(void)
{
    int64_t value = 0;
    int32_t short_pair[2] = {-3, 250000000};
    uint8_t wire[16];
    memcpy(wire, short_pair, 8);
    CHECK_EQ(iec_from_wire(SR_TYPE_TOD, 0, wire, 8, &value), 0);
    CHECK_EQ(value, -2750000000);
    CHECK_EQ(from_pair(-1, -500000000, &value), 0); /* both negative, as C's timespec users do */
    CHECK_EQ(value, -1500000000);
    CHECK_EQ(from_pair(0, 1000000000, &value), -ERANGE);
    CHECK_EQ(from_pair(0, -1000000000, &value), -ERANGE);
    CHECK_EQ(from_pair(9223372036, 854775808, &value), -ERANGE);
    CHECK_EQ(from_pair(-9223372037, 145224191, &value), -ERANGE);
    CHECK_EQ(from_pair(INT64_MAX, 0, &value), -ERANGE);
    CHECK_EQ(from_pair(INT64_MIN, 999999999, &value), -ERANGE);
    CHECK_EQ(from_pair(INT64_MIN, -999999999, &value), -ERANGE);
    CHECK_EQ(value, -1500000000); /* untouched by all of these */
    for (uint32_t size = 0; size <= 16; size++)
        CHECK_EQ(iec_from_wire(SR_TYPE_TIME, 0, wire, size, &value) == -EINVAL,
                 size != 8 && size != 16);
}

static void strings_are_cut_to_capacity(void)
{
    uint8_t native[11] = "\x05hello", wire[11], back[11];
    CHECK_EQ(iec_to_wire(SR_TYPE_STRING, 10, native, wire), 6);
    CHECK_BYTES(wire, "\x05hello", 6);
    native[0] = 200; /* a program may write anything there */
    CHECK_EQ(iec_to_wire(SR_TYPE_STRING, 10, native, wire), 11);
    CHECK_EQ(wire[0], 10);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 10, wire, 11, back), 0);
    CHECK_BYTES(back, wire, 11);
}

static void strings_from_the_wire(void)
{
    uint8_t native[6], wire[127] = "\x03"
                                   "abc garbage behind it";
    memset(native, 0xEE, sizeof native);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 5, wire, 127, native), 0); /* the IDE's form */
    CHECK_BYTES(native,
                "\x03"
                "abc\0\0",
                6);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 5, wire, 4, native), 0);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 3, wire, 4, native), 0);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 2, wire, 4, native), -E2BIG);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 5, wire, 3, native), -EINVAL);
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 5, wire, 0, native), -EINVAL);
    wire[0] = 0;
    CHECK_EQ(iec_from_wire(SR_TYPE_STRING, 5, wire, 1, native), 0);
    CHECK_EQ(native[0], 0);
}

static void refuses_no_type(void)
{
    uint8_t bytes[16] = {0};
    CHECK_EQ(iec_to_wire(0, 0, bytes, bytes), 0);
    CHECK_EQ(iec_from_wire(0, 0, bytes, 1, bytes), -EINVAL);
    CHECK_EQ(iec_from_wire(21, 0, bytes, 8, bytes), -EINVAL);
    CHECK_EQ(iec_from_wire(255, 0, bytes, 8, bytes), -EINVAL);
}

/* As matiec holds it: two longs, maybe behind a pointer. */
static void matiec_times_and_pointers(void)
{
    const uint8_t time = SR_TYPE_TIME | IEC_MATIEC, behind = time | IEC_POINTER;
    const long forms[][2] = {{3, 5}, {-1, -500000000}, {0, -1}, {1, 2000000001}, {LONG_MIN, -1}};
    const int64_t expected[][2] = {{3, 5}, {-2, 500000000}, {-1, 999999999}, {3, 1}};
    uint8_t wire[16];
    int64_t pair[2];
    CHECK_EQ(iec_size(time, 0), 2 * sizeof(long));
    CHECK_EQ(iec_size(behind, 0), 2 * sizeof(long));
    CHECK_EQ(iec_wire_max(behind, 0), 16);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const void *pointer = forms[i];
        CHECK_EQ(iec_to_wire(time, 0, forms[i], wire), 16);
        memcpy(pair, wire, sizeof pair);
        CHECK_EQ(pair[0], expected[i][0]);
        CHECK_EQ(pair[1], expected[i][1]);
        CHECK_EQ(iec_to_wire(behind, 0, &pointer, wire), 16);
        CHECK_BYTES(wire, pair, 16);
    }
    CHECK_EQ(iec_to_wire(time, 0, forms[4], wire), 16); /* wraps, and is no undefined behaviour */

    const int64_t half[2] = {-1, 500000000};
    const int32_t short_form[2] = {7, -8};
    long native[2];
    CHECK_EQ(iec_from_wire(behind, 0, (const uint8_t *)half, 16, native), 0);
    CHECK_EQ(native[0], 0);
    CHECK_EQ(native[1], -500000000);
    CHECK_EQ(iec_from_wire(time, 0, (const uint8_t *)short_form, 8, native), 0);
    CHECK_EQ(native[0], 7);
    CHECK_EQ(native[1], -8);
    const int64_t too_much[2] = {0, 1000000000};
    CHECK_EQ(iec_from_wire(time, 0, (const uint8_t *)too_much, 16, native), -ERANGE);
    CHECK_EQ(iec_from_wire(time, 0, (const uint8_t *)too_much, 12, native), -EINVAL);
}

static void a_pointer_that_leads_nowhere(void)
{
    const void *nowhere = NULL;
    const uint8_t zeros[16] = {0};
    uint8_t wire[16];
    memset(wire, 1, sizeof wire);
    CHECK_EQ(iec_to_wire(SR_TYPE_STRING | IEC_POINTER, 20, &nowhere, wire), 1);
    CHECK_EQ(iec_to_wire(SR_TYPE_DT | IEC_POINTER | IEC_MATIEC, 0, &nowhere, wire), 16);
    CHECK_BYTES(wire, zeros, 16);
}

int main(void)
{
    RUN(matiec_times_and_pointers);
    RUN(a_pointer_that_leads_nowhere);
    RUN(knows_every_type);
    RUN(sizes_match_the_abi);
    RUN(plain_types_round_trip);
    RUN(bool_is_0_or_1);
    RUN(times_are_floored);
    RUN(times_from_other_forms);
    RUN(strings_are_cut_to_capacity);
    RUN(strings_from_the_wire);
    RUN(refuses_no_type);
    return 0;
}
