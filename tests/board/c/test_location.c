/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "harness.h"
#include "location.h"

static void parses(void)
{
    static const struct {
        const char *text;
        struct location location;
    } cases[] = {
        {"%IX0.0", {.area = SR_INPUT, .width = 1}},
        {"%QX12.7", {.area = SR_OUTPUT, .width = 1, .byte = 12, .bit = 7}},
        {"%I3.1", {.area = SR_INPUT, .width = 1, .byte = 3, .bit = 1}},
        {"%mx1.1", {.area = SR_MEMORY, .width = 1, .byte = 1, .bit = 1}},
        {"%IB7", {.area = SR_INPUT, .width = 8, .byte = 7}},
        {"%QW3", {.area = SR_OUTPUT, .width = 16, .byte = 6}},
        {"%MD7", {.area = SR_MEMORY, .width = 32, .byte = 28}},
        {"%ql127", {.area = SR_OUTPUT, .width = 64, .byte = 1016}},
        {"%QW16777215", {.area = SR_OUTPUT, .width = 16, .byte = 33554430}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct location got = {0};
        const struct location *want = &cases[i].location;
        CHECK_EQ(location_parse(cases[i].text, &got), 0);
        CHECK_EQ(got.area, want->area);
        CHECK_EQ(got.width, want->width);
        CHECK_EQ(got.byte, want->byte);
        CHECK_EQ(got.bit, want->bit);
    }
}

static void refuses(void)
{
    static const char *const bad[] = {
        NULL,
        "",
        "%",
        "%I",
        "%IX",
        "%IX0",
        "%IX0.",
        "%IX0.8",
        "%IX0.10",
        "%IX.0",
        "%I5",
        "%IW",
        "%IW1.2",
        "%IW-1",
        "%IW+1",
        "%IW 1",
        "%IW1 ",
        "IW1",
        "%ZW1",
        "%IZ1",
        "%IXX0.0",
        "%IW0x10",
        "%QW1.2.3",
        "%IX0.0a",
        "%I*",
        "%QW16777216",
        "%IX0..0",
        "%%IX0.0",
        "%IX99999999999999999999.0",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct location got = {.byte = 77};
        CHECK_EQ(location_parse(bad[i], &got), -EINVAL);
        CHECK_EQ(got.byte, 77);
    }
}

static int check(const char *text, uint8_t type, uint8_t direction, uint32_t bytes)
{
    struct location location;
    CHECK_EQ(location_parse(text, &location), 0);
    return location_check(&location, type, direction, bytes);
}

static void checks_type_and_area(void)
{
    CHECK_EQ(check("%IX1023.7", SR_TYPE_BOOL, SR_INPUT, 1024), 0);
    CHECK_EQ(check("%IX1024.0", SR_TYPE_BOOL, SR_INPUT, 1024), -ERANGE);
    CHECK_EQ(check("%IW511", SR_TYPE_INT, SR_INPUT, 1024), 0);
    CHECK_EQ(check("%IW512", SR_TYPE_INT, SR_INPUT, 1024), -ERANGE);
    CHECK_EQ(check("%QL127", SR_TYPE_LREAL, SR_OUTPUT, 1024), 0);
    CHECK_EQ(check("%QL128", SR_TYPE_LREAL, SR_OUTPUT, 1024), -ERANGE);
    CHECK_EQ(check("%QL0", SR_TYPE_TIME, SR_OUTPUT, 8), 0);
    CHECK_EQ(check("%QL0", SR_TYPE_TIME, SR_OUTPUT, 7), -ERANGE);
    CHECK_EQ(check("%MD0", SR_TYPE_REAL, SR_MEMORY, 1024), 0);
    CHECK_EQ(check("%MB0", SR_TYPE_BYTE, SR_MEMORY, 1024), 0);
    CHECK_EQ(check("%IW0", SR_TYPE_INT, SR_OUTPUT, 1024), -EPROTOTYPE);
    CHECK_EQ(check("%IW0", SR_TYPE_INT, SR_LOCAL, 1024), -EPROTOTYPE);
    CHECK_EQ(check("%IW0", SR_TYPE_DINT, SR_INPUT, 1024), -EINVAL);
    CHECK_EQ(check("%IB0", SR_TYPE_BOOL, SR_INPUT, 1024), -EINVAL);
    CHECK_EQ(check("%IX0.0", SR_TYPE_BYTE, SR_INPUT, 1024), -EINVAL);
    CHECK_EQ(check("%IB0", SR_TYPE_STRING, SR_INPUT, 1024), -EINVAL);
    CHECK_EQ(check("%IB0", 0, SR_INPUT, 1024), -EINVAL);
    CHECK_EQ(check("%IB0", 200, SR_INPUT, 1024), -EINVAL);
}

/* Every width: what is stored loads again, and nothing beside it changes. */
static void stores_and_loads(void)
{
    static const char *const places[] = {"%QX1.3", "%QB3", "%QW3", "%QD3", "%QL1"};
    static const uint8_t value[8] = {0x01, 0xF2, 0x83, 0x04, 0x75, 0x06, 0xFF, 0x08};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct location location;
        CHECK_EQ(location_parse(places[i], &location), 0);
        for (int background = 0; background <= 0xFF; background += 0xFF) {
            uint8_t area[24], back[8] = {0};
            uint32_t bytes = location.width == 1 ? 1 : location.width / 8u;
            memset(area, background, sizeof area);
            location_store(&location, value, area);
            location_load(&location, area, back);
            CHECK_BYTES(back, value, bytes);
            CHECK_EQ(back[bytes < 8 ? bytes : 0], bytes < 8 ? 0 : value[0]);
            if (location.width == 1)
                CHECK_EQ(area[1] & ~8, background & ~8);
            for (uint32_t at = 0; at < sizeof area; at++)
                CHECK((at >= location.byte && at < location.byte + bytes) ||
                      area[at] == background);
        }
    }
}

static void bits_are_0_or_1(void)
{
    struct location location;
    uint8_t area[1] = {0xFF}, value = 0;
    CHECK_EQ(location_parse("%QX0.7", &location), 0);
    location_store(&location, &value, area);
    CHECK_EQ(area[0], 0x7F);
    value = 2; /* a program's odd BOOL */
    location_store(&location, &value, area);
    CHECK_EQ(area[0], 0xFF);
    location_load(&location, area, &value);
    CHECK_EQ(value, 1);
}

int main(void)
{
    RUN(parses);
    RUN(refuses);
    RUN(checks_type_and_area);
    RUN(stores_and_loads);
    RUN(bits_are_0_or_1);
    return 0;
}
