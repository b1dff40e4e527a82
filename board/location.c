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

static const char no_area[] = "an address begins with %I, %Q or %M";
static const char no_size[] = "behind the area comes the size, X, B, W, D or L, or a bit as in 0.0";
static const char incomplete[] = "an incomplete address (*) has no place";
static const char no_number[] = "a decimal number is missing";
static const char too_large[] = "the number is too large";
static const char no_bit[] = "a bit needs its byte, as in %IX0.5";
static const char bad_bit[] = "bits are 0 to 7";
static const char hierarchical[] = "hierarchical addresses have no meaning here: write one number";
static const char no_end[] = "something stands behind the number";

/* Decimal digits at *text, which moves behind them. NULL, or what is wrong. */
static const char *number(const char **text, uint32_t *value)
{
    const char *start = *text;
    *value = 0;
    while (**text >= '0' && **text <= '9') {
        *value = *value * 10u + (uint32_t)(**text - '0');
        if (*value > NUMBER_MAX)
            return too_large;
        (*text)++;
    }
    return *text != start ? NULL : no_number;
}

static bool ends(const char *text)
{
    return *text == '\0';
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

/* NULL, or what is wrong. */
static const char *parse(const char *text, struct location *location)
{
    struct location found = {0};
    uint32_t value, bit = 0;
    if (text == NULL || text[0] != '%' || (found.area = area_of(text[1])) == SR_LOCAL)
        return no_area;
    if (text[2] == '*')
        return incomplete;
    if ((found.width = width_of(text[2])) == 0)
        return no_size;
    text += upper(text[2]) >= 'A' ? 3 : 2;
    const char *wrong = number(&text, &value);
    if (wrong != NULL)
        return wrong;
    found.byte = found.width == 1 ? value : value * (found.width / 8u);
    if (found.width == 1) {
        if (*text != '.')
            return ends(text) ? no_bit : no_end;
        text++;
        wrong = number(&text, &bit);
        if (wrong != NULL)
            return wrong;
        if (bit > 7)
            return bad_bit;
        found.bit = (uint8_t)bit;
    }
    if (!ends(text))
        return *text == '.' ? hierarchical : no_end;
    *location = found;
    return NULL;
}

int location_parse(const char *text, struct location *location)
{
    return parse(text, location) == NULL ? 0 : -EINVAL;
}

const char *location_refusal(const char *text)
{
    struct location unused;
    const char *wrong = parse(text, &unused);
    return wrong != NULL ? wrong : "";
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
