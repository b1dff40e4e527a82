/* SPDX-License-Identifier: MIT */
/* location.c - see location.h. */
#include "location.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "iec.h"

/* More digits than any area needs; keeps every product in 32 bits. */
#define NUMBER_MAX 0xFFFFFFu

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Decimal digits at *text, which moves behind them; false when there are none or too many. */
static bool number(const char **text, uint32_t *value)
{
    const char *start = *text;
    *value = 0;
    while (**text >= '0' && **text <= '9') {
        *value = *value * 10u + (uint32_t)(**text - '0');
        if (*value > NUMBER_MAX)
            return false;
        (*text)++;
    }
    return *text != start;
}

static uint8_t area_of(char letter)
{
    switch (upper(letter)) {
    case 'I':
        return SR_INPUT;
    case 'Q':
        return SR_OUTPUT;
    case 'M':
        return SR_MEMORY;
    default:
        return SR_LOCAL;
    }
}

/* Width in bits by the size letter; a digit stands for a left-out X; 0: neither. */
static uint8_t width_of(char letter)
{
    switch (upper(letter)) {
    case 'X':
        return 1;
    case 'B':
        return 8;
    case 'W':
        return 16;
    case 'D':
        return 32;
    case 'L':
        return 64;
    default:
        return letter >= '0' && letter <= '9' ? 1 : 0;
    }
}

int location_parse(const char *text, struct location *location)
{
    struct location found = {0};
    uint32_t value, bit = 0;
    if (text == NULL || text[0] != '%' || (found.area = area_of(text[1])) == SR_LOCAL ||
        (found.width = width_of(text[2])) == 0)
        return -EINVAL;
    text += upper(text[2]) >= 'A' ? 3 : 2;
    if (!number(&text, &value))
        return -EINVAL;
    if (found.width == 1) {
        if (*text++ != '.' || !number(&text, &bit) || bit > 7)
            return -EINVAL;
        found.byte = value;
        found.bit = (uint8_t)bit;
    } else {
        found.byte = value * (found.width / 8u);
    }
    if (*text != '\0')
        return -EINVAL;
    *location = found;
    return 0;
}

int location_check(const struct location *location, uint8_t type, uint8_t direction,
                   uint32_t area_bytes)
{
    if (direction != location->area)
        return -EPROTOTYPE;
    uint32_t width = type == SR_TYPE_BOOL ? 1u : 8u * iec_size(type, 0);
    if (!iec_is_type(type) || type == SR_TYPE_STRING || width != location->width)
        return -EINVAL;
    uint32_t bytes = (width + 7u) / 8u;
    if (bytes > area_bytes || location->byte > area_bytes - bytes)
        return -ERANGE;
    return 0;
}

void location_load(const struct location *location, const uint8_t *area, void *value)
{
    const uint8_t *at = area + location->byte;
    switch (location->width) {
    case 1:
        *(uint8_t *)value = (uint8_t)(*at >> location->bit & 1u);
        break;
    case 8:
        memcpy(value, at, 1);
        break;
    case 16:
        memcpy(value, at, 2);
        break;
    case 32:
        memcpy(value, at, 4);
        break;
    default:
        memcpy(value, at, 8);
        break;
    }
}

void location_store(const struct location *location, const void *value, uint8_t *area)
{
    uint8_t *at = area + location->byte;
    unsigned int mask = 1u << location->bit;
    switch (location->width) {
    case 1:
        *at = (uint8_t)(*(const uint8_t *)value != 0 ? *at | mask : *at & ~mask);
        break;
    case 8:
        memcpy(at, value, 1);
        break;
    case 16:
        memcpy(at, value, 2);
        break;
    case 32:
        memcpy(at, value, 4);
        break;
    default:
        memcpy(at, value, 8);
        break;
    }
}
