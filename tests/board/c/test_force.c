/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "force.h"
#include "harness.h"
#include "iec.h"

static sr_bool flag;
static sr_int word;
static sr_dint number, other;
static sr_lreal real;
static sr_time duration;
static SR_STRING(6) text;

static sr_variable table[] = {
    SR_ROW_INPUT("FLAG", "%IX0.3", BOOL, flag),
    SR_ROW("WORD", INT, word),
    SR_ROW("NUMBER", DINT, number),
    SR_ROW("OTHER", DINT, other),
    SR_ROW("REAL", LREAL, real),
    SR_ROW("DURATION", TIME, duration),
    SR_ROW_STRING("TEXT", text),
    {.path = "BAD", .address = &other.value, .type = SR_TYPE_DINT},
};
#define ROWS (uint32_t)(sizeof table / sizeof table[0])
enum { FLAG, WORD, NUMBER, OTHER, REAL, DURATION, TEXT, BAD };

static void reset(void)
{
    flag = (sr_bool){0};
    word = (sr_int){0};
    number = (sr_dint){0};
    other = (sr_dint){0};
    real = (sr_lreal){0};
    duration = (sr_time){0};
    memset(&text, 0, sizeof text);
}

static struct force *make(void)
{
    struct force *force;
    reset();
    CHECK_EQ(force_create(&force, NULL), 0);
    return force;
}

static struct force_order order(uint32_t index, const void *wire, uint32_t size)
{
    return (struct force_order){.index = index, .size = size, .wire = wire};
}

static int publish(struct force *force, const struct force_order *orders, uint32_t count)
{
    uint32_t bad;
    return force_publish(force, table, ROWS, orders, count, &bad);
}

static void writes_every_type(void)
{
    struct force *force = make();
    double half = 0.5;
    int64_t time[2] = {-1, 500000000};
    struct force_order orders[] = {
        order(FLAG, "\2", 1),  order(WORD, "\xFE\xFF", 2), order(NUMBER, "\1\2\3\4", 4),
        order(REAL, &half, 8), order(DURATION, time, 16),  order(TEXT, "\5hello??????", 12),
    };
    CHECK_EQ(publish(force, orders, 6), 0);
    CHECK(!force_is_set(&table[NUMBER])); /* nothing before the cycle starts */
    CHECK_EQ(number.value, 0);
    force_apply(force, 0);
    CHECK_EQ(flag.value, 1);
    CHECK_EQ(word.value, -2);
    CHECK_EQ(number.value, 0x04030201);
    CHECK(real.value == 0.5);
    CHECK_EQ(duration.value, -500000000);
    CHECK_EQ(text.value.length, 5);
    CHECK_BYTES(text.value.text, "hello", 5);
    for (uint32_t i = 0; i < ROWS; i++) {
        if (table[i].flags != NULL)
            CHECK_EQ(force_is_set(&table[i]), i != OTHER);
    }
    force_destroy(force);
    force_destroy(NULL);
}

/* The promise of plc_abi.h: the program's writes are ignored, also in the middle of a cycle. */
static void program_cannot_write(void)
{
    struct force *force = make();
    struct force_order orders[] = {order(NUMBER, "\7\0\0\0", 4), order(TEXT, "\2hi", 3)};
    CHECK_EQ(publish(force, orders, 2), 0);
    force_apply(force, 0);
    SR_SET(number, 100);
    SR_SET_STRING(text, "other");
    SR_SET(other, number.value + 1);
    CHECK_EQ(number.value, 7);
    CHECK_EQ(other.value, 8);
    CHECK_EQ(text.value.length, 2);
    number.value = 55; /* around the macros, flag included */
    number.flags = 0;
    text.value.length = 0;
    force_hold(force, 0);
    CHECK_EQ(number.value, 7);
    CHECK(SR_IS_FORCED(number));
    CHECK_EQ(text.value.length, 2);
    number.value = 56;
    force_apply(force, 0); /* the next cycle starts with the value too */
    CHECK_EQ(number.value, 7);
    force_destroy(force);
}

static void releases(void)
{
    struct force *force = make();
    struct force_order orders[] = {order(NUMBER, "\7\0\0\0", 4), order(OTHER, "\x08\0\0\0", 4)};
    number.flags = 0x80; /* not ours: kept */
    CHECK_EQ(publish(force, orders, 2), 0);
    force_apply(force, 0);
    CHECK_EQ(number.flags, 0x80 | SR_FORCED);
    CHECK_EQ(publish(force, orders + 1, 1), 0);
    force_apply(force, 0);
    CHECK_EQ(number.flags, 0x80);
    CHECK_EQ(number.value, 7); /* until somebody writes it */
    SR_SET(number, 9);
    force_hold(force, 0);
    CHECK_EQ(number.value, 9);
    CHECK(force_is_set(&table[OTHER]));
    CHECK_EQ(publish(force, NULL, 0), 0);
    force_apply(force, 0);
    force_hold(force, 0);
    CHECK(!force_is_set(&table[OTHER]));
    SR_SET(other, 10);
    force_hold(force, 0);
    CHECK_EQ(other.value, 10);
    force_destroy(force);
}

static void last_list_before_the_cycle_counts(void)
{
    struct force *force = make();
    struct force_order one = order(NUMBER, "\1\0\0\0", 4), two = order(OTHER, "\2\0\0\0", 4);
    CHECK_EQ(publish(force, &one, 1), 0);
    CHECK_EQ(publish(force, &two, 1), 0);
    force_apply(force, 0);
    CHECK(!force_is_set(&table[NUMBER]));
    CHECK_EQ(number.value, 0);
    CHECK_EQ(other.value, 2);
    force_destroy(force);
}

/* Rows may share a variable: releasing one must not release the other. */
static void shared_flags(void)
{
    struct force *force = make();
    sr_variable rows[] = {SR_ROW("A", DINT, number), SR_ROW("B", DINT, number)};
    struct force_order a = order(0, "\1\0\0\0", 4), b = order(1, "\2\0\0\0", 4);
    CHECK_EQ(force_publish(force, rows, 2, &a, 1, NULL), 0);
    force_apply(force, 0);
    CHECK_EQ(force_publish(force, rows, 2, &b, 1, NULL), 0);
    force_apply(force, 0);
    CHECK(SR_IS_FORCED(number));
    CHECK_EQ(number.value, 2);
    force_destroy(force);
}

static void refuses(void)
{
    struct force *force = make();
    const struct {
        struct force_order order;
        int error;
    } cases[] = {
        {order(ROWS, "\0\0\0\0", 4), -ENOENT},
        {order(UINT32_MAX, "\0\0\0\0", 4), -ENOENT},
        {order(NUMBER, "\0\0\0", 3), -EINVAL},
        {order(NUMBER, "", 0), -EINVAL},
        {order(OTHER, "\0\0\0\0", 4), -EEXIST},
        {order(TEXT, "\7toolong", 8), -E2BIG},
        {order(TEXT, "\6short", 6), -EINVAL},
        {order(DURATION, "\0\0\0\0\xFF\xFF\xFF\x7F", 8), -ERANGE},
        {order(BAD, "\0\0\0\0", 4), -EINVAL},
    };
    struct force_order orders[2] = {order(OTHER, "\3\0\0\0", 4)};
    CHECK_EQ(publish(force, orders, 1), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t bad = 99;
        orders[1] = cases[i].order;
        CHECK_EQ(force_publish(force, table, ROWS, orders, 2, &bad), cases[i].error);
        CHECK_EQ(bad, 1);
    }
    force_apply(force, 0); /* the list before them is untouched */
    CHECK_EQ(other.value, 3);
    static struct force_order many[ROWS + 5];
    for (uint32_t i = 0; i < ROWS + 5; i++)
        many[i] = order(i % (ROWS - 1), "\0\0\0\0", 4);
    CHECK(publish(force, many, ROWS + 5) < 0);
    force_destroy(force);
}

static void forgets_before_unload(void)
{
    struct force *force = make();
    sr_dint *gone = calloc(1, sizeof *gone);
    sr_variable row = SR_ROW("GONE", DINT, *gone);
    struct force_order one = order(0, "\1\0\0\0", 4);
    CHECK_EQ(force_publish(force, &row, 1, &one, 1, NULL), 0);
    force_apply(force, 0);
    CHECK_EQ(force_publish(force, &row, 1, &one, 1, NULL), 0);
    force_forget(force);
    free(gone);
    force_apply(force, 0); /* the sanitizer watches */
    force_hold(force, 0);
    force_destroy(force);
}

static void inputs_honour_it(void)
{
    struct force *force = make();
    struct location location;
    uint8_t inputs[4] = {0x08};
    struct force_order off = order(FLAG, "\0", 1);
    CHECK_EQ(location_parse(table[FLAG].location, &location), 0);
    force_write_input(&table[FLAG], &location, inputs);
    CHECK_EQ(flag.value, 1);
    CHECK_EQ(publish(force, &off, 1), 0);
    force_apply(force, 0);
    force_write_input(&table[FLAG], &location, inputs);
    CHECK_EQ(flag.value, 0);
    CHECK_EQ(publish(force, NULL, 0), 0);
    force_apply(force, 0);
    force_write_input(&table[FLAG], &location, inputs);
    CHECK_EQ(flag.value, 1);
    force_destroy(force);
}

/* The worker changes the list while cycles run: in every cycle either list holds from start to
 * end, never a mixture. */
#define STRESS_LISTS 4000u

struct stress {
    struct force *force;
    atomic_bool stop;
    _Atomic uint32_t cycles;
};

static void *cycle(void *argument)
{
    struct stress *stress = argument;
    while (!atomic_load(&stress->stop)) {
        force_apply(stress->force, 0);
        bool forced = SR_IS_FORCED(number);
        int32_t value = number.value;
        SR_SET(number, -1);
        SR_SET(other, -1);
        force_hold(stress->force, 0);
        CHECK_EQ(SR_IS_FORCED(other), forced);
        CHECK_EQ(number.value, forced ? value : -1);
        CHECK_EQ(other.value, forced ? value : -1); /* both have the same number in every list */
        atomic_fetch_add(&stress->cycles, 1);
    }
    return NULL;
}

static void changes_between_cycles_only(void)
{
    struct stress stress = {.force = make()};
    pthread_t rt = spawn(cycle, &stress);
    for (uint32_t i = 0; i < STRESS_LISTS; i++) {
        struct force_order orders[] = {order(NUMBER, &i, 4), order(OTHER, &i, 4)};
        CHECK_EQ(publish(stress.force, orders, i % 3 == 0 ? 0 : 2), 0);
        if (i % 8 == 0) {
            uint32_t seen = atomic_load(&stress.cycles);
            while (atomic_load(&stress.cycles) == seen)
                sched_yield();
        }
    }
    atomic_store(&stress.stop, true);
    join(rt);
    force_destroy(stress.force);
}

/* Variables as matiec has them: a flag of its own, and pointers that are led away. */
static void leads_pointers_away_and_back(void)
{
    struct force *force = make();
    int16_t place = 5, global = 6;
    struct {
        int16_t *value;
        uint8_t flags;
    } output = {NULL, 4}, external = {&global, 0};
    struct {
        int16_t value;
        uint8_t flags;
    } plain = {1, 5};
    const struct sr_variable rows[] = {
        {.address = &output.value,
         .flags = &output.flags,
         .type = SR_TYPE_INT | IEC_MATIEC | IEC_POINTER | IEC_OUTPUT},
        {.address = &external.value,
         .flags = &external.flags,
         .type = SR_TYPE_INT | IEC_MATIEC | IEC_POINTER},
        {.address = &plain.value, .flags = &plain.flags, .type = SR_TYPE_INT | IEC_MATIEC},
    };
    const struct force_order orders[] = {order(0, "\7\0", 2), order(1, "\10\0", 2),
                                         order(2, "\11\0", 2)};
    CHECK_EQ(force_publish(force, rows, 3, orders, 3, NULL), 0);
    force_apply(force, 0);
    CHECK(output.value == NULL); /* its program did not begin */
    output.value = &place;
    force_apply(force, 0);
    CHECK_EQ(plain.value, 9);
    CHECK_EQ(plain.flags, 7);
    CHECK_EQ(output.flags, 6);
    CHECK_EQ(*output.value, 7);
    CHECK_EQ(place, 7);
    CHECK_EQ(*external.value, 8);
    CHECK_EQ(global, 6);
    *output.value = 1; /* around the macros */
    place = 2;
    global = 3;
    force_hold(force, 0);
    CHECK_EQ(*output.value, 7);
    CHECK_EQ(place, 7);
    CHECK_EQ(*external.value, 8);
    CHECK_EQ(global, 3);

    CHECK_EQ(force_publish(force, rows, 3, &orders[1], 1, NULL), 0); /* and led away once more */
    force_apply(force, 0);
    CHECK(output.value == &place);
    CHECK_EQ(output.flags, 4);
    CHECK_EQ(*external.value, 8);
    output.value = NULL;
    CHECK_EQ(force_publish(force, rows, 3, NULL, 0, NULL), 0);
    force_apply(force, 0);
    CHECK(external.value == &global);
    CHECK(output.value == NULL); /* what the program changed meanwhile is left alone */
    CHECK_EQ(plain.flags, 5);
    force_destroy(force);
}

int main(void)
{
    RUN(leads_pointers_away_and_back);
    RUN(writes_every_type);
    RUN(program_cannot_write);
    RUN(releases);
    RUN(last_list_before_the_cycle_counts);
    RUN(shared_flags);
    RUN(refuses);
    RUN(forgets_before_unload);
    RUN(inputs_honour_it);
    RUN(changes_between_cycles_only);
    return 0;
}
