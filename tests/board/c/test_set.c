/* SPDX-License-Identifier: MIT */
/* Parts of the process image and the set that joins them, and both ends of a part at once. */
#include <stdatomic.h>

#include "harness.h"
#include "io/set.h"

#define STALE_NS 1000

static uint8_t none[IO_AREA_BYTES], all[IO_AREA_BYTES];

static struct io_part *make(const uint8_t *inputs, const uint8_t *outputs, const uint8_t *lost,
                            const uint8_t *safe)
{
    struct io_part *part;
    const struct io_part_masks masks = {inputs, outputs, lost, safe, STALE_NS};
    CHECK_EQ(io_part_create(&part, &masks, NULL), 0);
    return part;
}

static void inputs_replace_their_bits_only(void)
{
    uint8_t mask[IO_AREA_BYTES] = {0x0F, 0xFF, 0xFF, 0, 0x80};
    uint8_t given[IO_AREA_BYTES] = {0xA5, 1, 2, 3, 0xFF, 0xFF}, image[IO_AREA_BYTES];
    mask[IO_AREA_BYTES - 1] = 0xFF;
    given[IO_AREA_BYTES - 1] = 9;
    struct io_part *part = make(mask, none, none, none);
    memset(image, 0x5A, sizeof image);
    io_part_publish(part, given);
    io_part_load(part, image, 100);
    static const uint8_t expected[] = {0x55, 1, 2, 0x5A, 0xDA, 0x5A};
    CHECK_BYTES(image, expected, sizeof expected);
    CHECK_EQ(image[IO_AREA_BYTES - 2], 0x5A);
    CHECK_EQ(image[IO_AREA_BYTES - 1], 9);
    io_part_destroy(part);
}

static void a_silent_thread_is_a_loss(void)
{
    const uint8_t lost[IO_AREA_BYTES] = {0x01, 0xFF}, given[IO_AREA_BYTES] = {0xFF, 7, 8};
    uint8_t image[IO_AREA_BYTES] = {0};
    struct io_part *part = make(all, none, lost, none);
    io_part_load(part, image, 5000); /* nothing was ever published */
    CHECK_EQ(image[0], 0);
    io_part_publish(part, given);
    io_part_load(part, image, 5000);
    io_part_load(part, image, 5000 + STALE_NS);
    static const uint8_t fresh[] = {0xFF, 7, 8}, stale[] = {0xFE, 0, 8};
    CHECK_BYTES(image, fresh, sizeof fresh);
    io_part_load(part, image, 5001 + STALE_NS);
    CHECK_BYTES(image, stale, sizeof stale);
    io_part_publish(part, given);
    io_part_load(part, image, 9000);
    CHECK_BYTES(image, fresh, sizeof fresh);
    io_part_destroy(part);
}

static void outputs_are_safe_until_a_cycle_begins_and_after_it(void)
{
    const uint8_t mask[IO_AREA_BYTES] = {0xFF, 0x01}, safe[IO_AREA_BYTES] = {3, 1};
    const uint8_t first[IO_AREA_BYTES] = {5, 0xFE, 5}, second[IO_AREA_BYTES] = {6, 0xFF};
    uint8_t got[IO_AREA_BYTES], inputs[IO_AREA_BYTES];
    struct io_part *part = make(none, mask, none, safe);
    CHECK_EQ(io_part_take(part, got), IO_SAFE);
    CHECK_BYTES(got, safe, sizeof got);
    io_part_begin(part);
    CHECK_EQ(io_part_take(part, got), IO_NEW);
    CHECK_BYTES(got, safe, sizeof got);
    io_part_store(part, first);
    CHECK_EQ(io_part_take(part, got), IO_NEW);
    CHECK_EQ(got[0], 5);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got[2], 0);
    CHECK_EQ(io_part_take(part, got), IO_OLD);
    CHECK_EQ(got[0], 5);
    CHECK(!io_part_is_safe(part));
    io_part_store(part, second);
    io_part_safe(part);
    CHECK(io_part_is_safe(part));
    CHECK_EQ(io_part_take(part, got), IO_SAFE);
    CHECK_BYTES(got, safe, sizeof got);
    io_part_look(part, inputs, got);
    CHECK_BYTES(got, safe, sizeof got);
    io_part_begin(part); /* what waited there from before is not put out again */
    CHECK_EQ(io_part_take(part, got), IO_NEW);
    CHECK_BYTES(got, safe, sizeof got);
    io_part_destroy(part);
}

/* ---- a base that writes down what it is asked ------------------------------------------------ */

static char calls[100];
static uint8_t base_outputs[IO_AREA_BYTES];

static void base_begin(void *state)
{
    (void)state;
    strcat(calls, "begin ");
}

static bool base_read(void *state, uint8_t *inputs, int64_t now_ns)
{
    (void)state;
    (void)now_ns;
    memset(inputs, 0x11, IO_AREA_BYTES);
    return true;
}

static void base_write(void *state, const uint8_t *outputs, uint32_t tick)
{
    (void)state;
    CHECK_EQ(tick, 42);
    memcpy(base_outputs, outputs, sizeof base_outputs);
}

static void base_safe(void *state)
{
    (void)state;
    strcat(calls, "safe ");
}

static void base_close(void *state)
{
    (void)state;
    strcat(calls, "close ");
}

static const struct io_driver base = {.name = "base",
                                      .rt_safe = true,
                                      .begin = base_begin,
                                      .read = base_read,
                                      .write = base_write,
                                      .safe = base_safe,
                                      .close = base_close};

static void part_safe(void *state)
{
    CHECK(io_part_is_safe(state));
    strcat(calls, "part-safe ");
}

static void part_close(void *state)
{
    uint8_t got[IO_AREA_BYTES];
    CHECK_EQ(io_part_take(state, got), IO_SAFE); /* it is still there */
    strcat(calls, "part-close ");
}

static void a_set_joins_base_and_parts(void)
{
    const uint8_t first[IO_AREA_BYTES] = {0x0F}, second[IO_AREA_BYTES] = {0x40, 0xFF};
    const uint8_t given[IO_AREA_BYTES] = {0xFF, 0xFF, 0xFF}, outputs[IO_AREA_BYTES] = {0xFF, 8};
    uint8_t image[IO_AREA_BYTES] = {0}, got[IO_AREA_BYTES];
    struct io_set *set;
    struct io_part *parts[2] = {make(first, first, none, none), make(second, second, none, none)};
    calls[0] = '\0';
    CHECK_EQ(io_set_create(&set, &base, NULL, 2), 0);
    io_set_add(set, parts[0], part_safe, part_close, parts[0]);
    io_set_add(set, parts[1], NULL, NULL, NULL);
    CHECK(io_set_part(set, 1) == parts[1]);
    io_set.begin(set);
    for (int i = 0; i < 2; i++)
        io_part_publish(parts[i], given);
    CHECK(io_set.read(set, image, 1));
    CHECK_EQ(image[0], 0x5F);
    CHECK_EQ(image[1], 0xFF);
    CHECK_EQ(image[2], 0x11);
    io_set.write(set, outputs, 42);
    CHECK_EQ(base_outputs[1], 8);
    CHECK_EQ(io_part_take(parts[0], got), IO_NEW);
    CHECK_EQ(got[0], 0x0F);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(io_part_take(parts[1], got), IO_NEW);
    CHECK_EQ(got[0], 0x40);
    CHECK_EQ(got[1], 8);
    io_set.safe(set);
    CHECK(io_part_is_safe(parts[1]));
    io_set.close(set);
    CHECK_EQ(strcmp(calls, "begin safe part-safe safe part-safe part-close close "), 0);
    io_set.close(NULL);
}

/* ---- two threads ----------------------------------------------------------------------------- */

#define ROUNDS 20000
static atomic_bool ended;

static bool is_whole(const uint8_t *area)
{
    for (size_t i = 1; i < 64; i++) {
        if (area[i] != area[0])
            return false;
    }
    return true;
}

static void *io_thread(void *argument)
{
    uint8_t area[IO_AREA_BYTES], got[IO_AREA_BYTES];
    for (uint32_t i = 0; !atomic_load(&ended); i++) {
        memset(area, (int)(i & 0xFF), sizeof area);
        io_part_publish(argument, area);
        (void)io_part_take(argument, got);
        CHECK(is_whole(got));
    }
    return NULL;
}

static void sets_are_whole_under_stress(void)
{
    uint8_t image[IO_AREA_BYTES] = {0}, outputs[IO_AREA_BYTES], seen[IO_AREA_BYTES];
    struct io_part *part = make(all, all, none, none);
    io_part_begin(part);
    pthread_t thread = spawn(io_thread, part);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        io_part_load(part, image, 0);
        CHECK(is_whole(image));
        memset(outputs, (int)(i & 0xFF), sizeof outputs);
        io_part_store(part, outputs);
        if (i % 1000 == 0) {
            io_part_look(part, image, seen);
            CHECK(is_whole(image) && is_whole(seen));
        }
    }
    io_part_safe(part);
    atomic_store(&ended, true);
    join(thread);
    io_part_destroy(part);
}

int main(void)
{
    memset(all, 0xFF, sizeof all);
    RUN(inputs_replace_their_bits_only);
    RUN(a_silent_thread_is_a_loss);
    RUN(outputs_are_safe_until_a_cycle_begins_and_after_it);
    RUN(a_set_joins_base_and_parts);
    RUN(sets_are_whole_under_stress);
    return 0;
}
