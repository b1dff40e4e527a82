/* SPDX-License-Identifier: MIT */
#include "convert.h"

#include "harness.h"
#include "iec.h"

static enum convert kind(uint8_t from, uint8_t to)
{
    return convert_kind((struct convert_type){from, 0}, (struct convert_type){to, 0});
}

static enum convert texts(uint8_t from, uint8_t to)
{
    return convert_kind((struct convert_type){SR_TYPE_STRING, from},
                        (struct convert_type){SR_TYPE_STRING, to});
}

/* What widens to what; everything else is CONVERT_NOT but a type to itself. */
static const uint8_t wider[][2] = {
    {SR_TYPE_BOOL, SR_TYPE_BYTE},   {SR_TYPE_BOOL, SR_TYPE_WORD},   {SR_TYPE_BOOL, SR_TYPE_DWORD},
    {SR_TYPE_BOOL, SR_TYPE_LWORD},  {SR_TYPE_BYTE, SR_TYPE_WORD},   {SR_TYPE_BYTE, SR_TYPE_DWORD},
    {SR_TYPE_BYTE, SR_TYPE_LWORD},  {SR_TYPE_WORD, SR_TYPE_DWORD},  {SR_TYPE_WORD, SR_TYPE_LWORD},
    {SR_TYPE_DWORD, SR_TYPE_LWORD}, {SR_TYPE_SINT, SR_TYPE_INT},    {SR_TYPE_SINT, SR_TYPE_DINT},
    {SR_TYPE_SINT, SR_TYPE_LINT},   {SR_TYPE_INT, SR_TYPE_DINT},    {SR_TYPE_INT, SR_TYPE_LINT},
    {SR_TYPE_DINT, SR_TYPE_LINT},   {SR_TYPE_USINT, SR_TYPE_UINT},  {SR_TYPE_USINT, SR_TYPE_UDINT},
    {SR_TYPE_USINT, SR_TYPE_ULINT}, {SR_TYPE_UINT, SR_TYPE_UDINT},  {SR_TYPE_UINT, SR_TYPE_ULINT},
    {SR_TYPE_UDINT, SR_TYPE_ULINT}, {SR_TYPE_USINT, SR_TYPE_INT},   {SR_TYPE_USINT, SR_TYPE_DINT},
    {SR_TYPE_USINT, SR_TYPE_LINT},  {SR_TYPE_UINT, SR_TYPE_DINT},   {SR_TYPE_UINT, SR_TYPE_LINT},
    {SR_TYPE_UDINT, SR_TYPE_LINT},  {SR_TYPE_SINT, SR_TYPE_REAL},   {SR_TYPE_INT, SR_TYPE_REAL},
    {SR_TYPE_USINT, SR_TYPE_REAL},  {SR_TYPE_UINT, SR_TYPE_REAL},   {SR_TYPE_SINT, SR_TYPE_LREAL},
    {SR_TYPE_INT, SR_TYPE_LREAL},   {SR_TYPE_DINT, SR_TYPE_LREAL},  {SR_TYPE_USINT, SR_TYPE_LREAL},
    {SR_TYPE_UINT, SR_TYPE_LREAL},  {SR_TYPE_UDINT, SR_TYPE_LREAL}, {SR_TYPE_REAL, SR_TYPE_LREAL},
};
#define WIDER (sizeof wider / sizeof wider[0])

static bool listed(uint8_t from, uint8_t to)
{
    for (size_t i = 0; i < WIDER; i++)
        if (wider[i][0] == from && wider[i][1] == to)
            return true;
    return false;
}

static void only_what_loses_nothing_converts(void)
{
    for (uint8_t from = SR_TYPE_BOOL; from < SR_TYPE_STRING; from++)
        for (uint8_t to = SR_TYPE_BOOL; to < SR_TYPE_STRING; to++)
            CHECK_EQ(kind(from, to), from == to         ? CONVERT_SAME
                                     : listed(from, to) ? CONVERT_WIDER
                                                        : CONVERT_NOT);
    CHECK_EQ(kind(0, 0), CONVERT_NOT);
    CHECK_EQ(kind(31, 31), CONVERT_NOT);
    CHECK_EQ(texts(5, 5), CONVERT_SAME);
    CHECK_EQ(texts(5, 6), CONVERT_WIDER);
    CHECK_EQ(texts(6, 5), CONVERT_NOT);
    CHECK_EQ(kind(SR_TYPE_STRING, SR_TYPE_DINT), CONVERT_NOT);
}

/* A value of so many bytes, as a number. */
static double number(uint8_t type, const void *at)
{
    int64_t whole = 0;
    float single;
    double twice;
    if (type == SR_TYPE_REAL) {
        memcpy(&single, at, sizeof single);
        return (double)single;
    }
    if (type == SR_TYPE_LREAL) {
        memcpy(&twice, at, sizeof twice);
        return twice;
    }
    const uint32_t size = iec_size(type, 0);
    memcpy(&whole, at, size);
    if (type >= SR_TYPE_SINT && type <= SR_TYPE_LINT && size < 8)
        whole = (int64_t)((uint64_t)whole << (64 - 8 * size)) >> (64 - 8 * size);
    return (double)whole;
}

/* All ones, only the highest bit, zero: -1 and the least, or the greatest and a half of it. */
static void extremes_arrive_whole(void)
{
    for (size_t i = 0; i < WIDER; i++) {
        const struct convert_type from = {wider[i][0], 0}, to = {wider[i][1], 0};
        const uint32_t size = iec_size(from.type, 0);
        for (int pattern = 0; pattern < 3 && from.type != SR_TYPE_BOOL; pattern++) {
            uint8_t source[8] = {0}, target[9];
            if (pattern == 1 && from.type != SR_TYPE_REAL) /* a NaN is equal to nothing */
                memset(source, 0xff, size);
            if (pattern == 2)
                source[size - 1] = 0x80;
            memset(target, 0x55, sizeof target);
            convert_copy(from, to, source, target);
            CHECK(number(to.type, target) == number(from.type, source));
            CHECK_EQ(target[iec_size(to.type, 0)], 0x55);
        }
    }
    const float third = 1.0f / 3;
    double wide;
    convert_copy((struct convert_type){SR_TYPE_REAL, 0}, (struct convert_type){SR_TYPE_LREAL, 0},
                 &third, &wide);
    CHECK(wide == (double)third);
    const uint8_t unclean = 7;
    uint16_t word;
    convert_copy((struct convert_type){SR_TYPE_BOOL, 0}, (struct convert_type){SR_TYPE_WORD, 0},
                 &unclean, &word);
    CHECK_EQ(word, 1);
}

static void same_types_are_copied(void)
{
    const struct convert_type time = {SR_TYPE_TIME, 0};
    const int64_t source = INT64_MIN;
    int64_t target = 0;
    convert_copy(time, time, &source, &target);
    CHECK(target == source);
}

static void texts_get_room(void)
{
    const uint8_t source[4] = {3, 'a', 'b', 'c'}, broken[4] = {200, 'a', 'b', 'c'};
    uint8_t target[8];
    memset(target, 'x', sizeof target);
    convert_copy((struct convert_type){SR_TYPE_STRING, 3}, (struct convert_type){SR_TYPE_STRING, 6},
                 source, target);
    CHECK_BYTES(target, "\3abcxxxx", 8);
    convert_copy((struct convert_type){SR_TYPE_STRING, 3}, (struct convert_type){SR_TYPE_STRING, 6},
                 broken, target);
    CHECK_EQ(target[0], 3);
}

int main(void)
{
    RUN(only_what_loses_nothing_converts);
    RUN(extremes_arrive_whole);
    RUN(same_types_are_copied);
    RUN(texts_get_room);
    return 0;
}
