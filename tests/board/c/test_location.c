/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "harness.h"
#include "location.h"

/* Lines of LOCATION_EXAMPLES: address, then area, width, byte and bit, or what is wrong. */
static void agrees_with_the_examples(void)
{
    char line[300];
    int good = 0, bad = 0;
    FILE *file = fopen(LOCATION_EXAMPLES, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        struct location got = {.byte = 77};
        char wanted[300], *end = line + strcspn(line, "\n");
        *end = '\0';
        char *rest = strchr(line, '\t');
        CHECK(rest != NULL);
        *rest++ = '\0';
        if (location_parse(line, &got) == 0) {
            CHECK_EQ(location_refusal(line)[0], '\0');
            snprintf(wanted, sizeof wanted, "%c %u %" PRIu32 " %u", " IQM"[got.area], got.width,
                     got.byte, got.bit);
            good++;
        } else {
            CHECK_EQ(got.byte, 77);
            snprintf(wanted, sizeof wanted, "%s", location_refusal(line));
            bad++;
        }
        if (strcmp(rest, wanted) != 0) {
            fprintf(stderr, "%s: got %s, expected %s\n", line, wanted, rest);
            exit(1);
        }
    }
    fclose(file);
    CHECK(good >= 10 && bad >= 20);
}

static void refuses_nothing_at_all(void)
{
    struct location got = {.byte = 77};
    CHECK_EQ(location_parse(NULL, &got), -EINVAL);
    CHECK_EQ(got.byte, 77);
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
    RUN(agrees_with_the_examples);
    RUN(refuses_nothing_at_all);
    RUN(checks_type_and_area);
    RUN(stores_and_loads);
    RUN(bits_are_0_or_1);
    return 0;
}
