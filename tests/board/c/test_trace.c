/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdatomic.h>

#include "harness.h"
#include "trace.h"

#define VARIABLES 32u

static sr_dint values[VARIABLES];
static SR_STRING(20) text;
static sr_variable table[VARIABLES + 1];

static void fill_table(void)
{
    for (uint32_t i = 0; i < VARIABLES; i++)
        table[i] = (sr_variable)SR_ROW("V", DINT, values[i]);
    table[VARIABLES] = (sr_variable)SR_ROW_STRING("S", text);
}

static struct trace *make(uint32_t bytes)
{
    struct trace *trace;
    CHECK_EQ(trace_create(&trace, bytes, NULL), 0);
    return trace;
}

static int choose(struct trace *trace, uint32_t generation, uint32_t count, const uint32_t *list)
{
    return trace_select(trace, table, VARIABLES + 1, list, count, generation);
}

struct sample {
    uint32_t tick;
    uint32_t length;
    int32_t values[VARIABLES];
};

static void creates_and_refuses(void)
{
    struct trace *trace;
    CHECK_EQ(trace_create(&trace, 1000, NULL), -EINVAL);
    CHECK(trace == NULL);
    trace_destroy(NULL);
    trace = make(1024);
    static const uint32_t beyond[] = {VARIABLES + 1};
    CHECK_EQ(choose(trace, 1, 1, beyond), -ENOENT);
    uint32_t many[200] = {0};
    CHECK_EQ(choose(trace, 1, 200, many), -EMSGSIZE);
    trace_destroy(trace);
}

static void records_every_tick(void)
{
    struct trace *trace = make(4096);
    static const uint32_t list[] = {2, 0};
    uint8_t to[200];
    uint32_t records = 9;
    trace_capture(trace, 0); /* no list yet */
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, &records), 0);
    CHECK_EQ(records, 0);
    CHECK_EQ(choose(trace, 1, 2, list), 0);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, NULL), 0);
    for (uint32_t tick = 10; tick < 13; tick++) {
        values[0].value = (int32_t)tick;
        values[2].value = -(int32_t)tick;
        trace_capture(trace, tick);
    }
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, &records), 3 * 16);
    CHECK_EQ(records, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct sample sample;
        memcpy(&sample, to + i * 16, 16);
        CHECK_EQ(sample.tick, 10 + i);
        CHECK_EQ(sample.length, 8);
        CHECK_EQ(sample.values[0], -10 - (int32_t)i);
        CHECK_EQ(sample.values[1], 10 + (int32_t)i);
    }
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, &records), 0);
    trace_destroy(trace);
}

static void reads_whole_records_only(void)
{
    struct trace *trace = make(4096);
    static const uint32_t list[] = {1};
    uint8_t to[30];
    uint32_t records;
    CHECK_EQ(choose(trace, 5, 1, list), 0);
    for (uint32_t tick = 0; tick < 4; tick++)
        trace_capture(trace, tick);
    CHECK_EQ(trace_read(trace, 5, to, 11, &records), -EMSGSIZE);
    CHECK_EQ(records, 0);
    CHECK_EQ(trace_read(trace, 5, to, 30, &records), 24);
    CHECK_EQ(records, 2);
    CHECK_EQ(trace_read(trace, 5, to, 12, &records), 12);
    CHECK_EQ(to[0], 2); /* tick: none was skipped */
    CHECK_EQ(trace_read(trace, 5, to, 0, &records), -EMSGSIZE);
    CHECK_EQ(trace_read(trace, 5, to, 30, &records), 12);
    CHECK_EQ(trace_read(trace, 5, to, 0, &records), 0);
    trace_destroy(trace);
}

static void strings_take_their_length(void)
{
    struct trace *trace = make(4096);
    static const uint32_t list[] = {VARIABLES, 3};
    uint8_t to[64];
    values[3].value = 0x01020304;
    CHECK_EQ(choose(trace, 1, 2, list), 0);
    SR_STRING(20) *s = (void *)&text;
    memcpy(s->value.text, "hello", 5);
    s->value.length = 5;
    trace_capture(trace, 1);
    s->value.length = 0;
    trace_capture(trace, 2);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, NULL), 8 + 10 + 8 + 5);
    CHECK_BYTES(to, "\1\0\0\0\x0A\0\0\0\5hello\4\3\2\1\2\0\0\0\5\0\0\0\0\4\3\2\1", 31);
    trace_destroy(trace);
}

static void keeps_generations_apart(void)
{
    struct trace *trace = make(4096);
    static const uint32_t one[] = {1}, two[] = {1, 2};
    uint8_t to[200];
    uint32_t records;
    CHECK_EQ(choose(trace, UINT32_MAX, 1, one), 0);
    trace_capture(trace, 1);
    CHECK_EQ(choose(trace, 0, 2, two), 0); /* the number wraps */
    trace_capture(trace, 2);
    CHECK_EQ(trace_read(trace, UINT32_MAX, to, sizeof to, &records), 12);
    CHECK_EQ(trace_read(trace, UINT32_MAX, to, sizeof to, &records), 0); /* the younger stays */
    CHECK_EQ(trace_read(trace, 0, to, sizeof to, &records), 16);
    CHECK_EQ(to[0], 2);
    trace_capture(trace, 3);
    CHECK_EQ(choose(trace, 1, 1, one), 0);
    trace_capture(trace, 4);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, &records), 12); /* the older went */
    CHECK_EQ(to[0], 4);
    trace_destroy(trace);
}

static void empty_list_ends_it(void)
{
    struct trace *trace = make(4096);
    static const uint32_t list[] = {1};
    uint8_t to[200];
    CHECK_EQ(choose(trace, 1, 1, list), 0);
    trace_capture(trace, 1);
    CHECK_EQ(choose(trace, 2, 0, NULL), 0);
    trace_capture(trace, 2);
    CHECK_EQ(trace_read(trace, 2, to, sizeof to, NULL), 0);
    CHECK_EQ(trace_dropped(trace), 0);
    trace_destroy(trace);
}

static void bad_list_changes_nothing(void)
{
    struct trace *trace = make(4096);
    static const uint32_t list[] = {1}, beyond[] = {1, 1000};
    uint8_t to[200];
    CHECK_EQ(choose(trace, 1, 1, list), 0);
    trace_capture(trace, 1);
    CHECK_EQ(choose(trace, 2, 2, beyond), -ENOENT);
    trace_capture(trace, 2);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, NULL), 24);
    trace_destroy(trace);
}

static void counts_lost_ticks_of_this_list(void)
{
    struct trace *trace = make(64); /* room for 2 records of 8 + 16 bytes */
    static const uint32_t list[] = {1};
    uint8_t to[200];
    CHECK_EQ(choose(trace, 1, 1, list), 0);
    for (uint32_t tick = 0; tick < 5; tick++)
        trace_capture(trace, tick);
    CHECK_EQ(trace_dropped(trace), 3);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, NULL), 24);
    trace_capture(trace, 5);
    CHECK_EQ(trace_dropped(trace), 3);
    CHECK_EQ(trace_read(trace, 1, to, sizeof to, NULL), 12);
    CHECK_EQ(to[0], 5); /* the gap shows in the ticks */
    CHECK_EQ(choose(trace, 2, 1, list), 0);
    trace_capture(trace, 6);
    CHECK_EQ(trace_dropped(trace), 0);
    trace_destroy(trace);
}

static void forgets_before_unload(void)
{
    struct trace *trace = make(4096);
    uint8_t to[200];
    static const uint32_t list[] = {0};
    sr_dint *gone = calloc(1, sizeof *gone);
    sr_variable row = SR_ROW("GONE", DINT, *gone);
    CHECK_EQ(trace_select(trace, &row, 1, list, 1, 1), 0);
    trace_capture(trace, 1);
    CHECK_EQ(trace_select(trace, &row, 1, list, 1, 2), 0); /* published, not taken */
    trace_forget(trace);
    free(gone);
    trace_capture(trace, 2); /* the sanitizer watches */
    CHECK_EQ(trace_read(trace, 2, to, sizeof to, NULL), 0);
    trace_forget(trace);
    trace_destroy(trace);
}

/* A cycle, a worker that changes the list all the time, and a consumer: every record is one
 * tick's, of the list of its generation. */
#define STRESS_LISTS 1500u

struct stress {
    struct trace *trace;
    _Atomic uint32_t generation; /* the latest published */
    atomic_bool stop;
    _Atomic uint32_t read;
};

static uint32_t list_size(uint32_t generation)
{
    return 1 + generation % (VARIABLES - 1);
}

static void *cycle(void *argument)
{
    struct stress *stress = argument;
    for (uint32_t tick = 0; !atomic_load(&stress->stop); tick++) {
        for (uint32_t i = 0; i < VARIABLES; i++)
            values[i].value = (int32_t)(tick + i);
        trace_capture(stress->trace, tick);
        if (tick % 16 == 0)
            sched_yield();
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct stress *stress = argument;
    static uint8_t to[4096];
    while (!atomic_load(&stress->stop)) {
        uint32_t generation = atomic_load(&stress->generation), records, last = 0;
        int32_t n = trace_read(stress->trace, generation, to, sizeof to, &records);
        CHECK(n >= 0);
        const uint8_t *at = to;
        for (uint32_t r = 0; r < records; r++) {
            struct sample sample;
            memcpy(&sample, at, TRACE_RECORD_HEADER);
            CHECK_EQ(sample.length, 4 * list_size(generation));
            memcpy(sample.values, at + TRACE_RECORD_HEADER, sample.length);
            for (uint32_t i = 0; i < list_size(generation); i++)
                CHECK_EQ(sample.values[i], (int32_t)(sample.tick + (generation + i) % VARIABLES));
            CHECK(r == 0 || sample.tick > last);
            last = sample.tick;
            at += TRACE_RECORD_HEADER + sample.length;
        }
        CHECK_EQ(at - to, n);
        atomic_fetch_add(&stress->read, records);
    }
    return NULL;
}

static void survives_list_changes(void)
{
    struct stress stress = {.trace = make(8192)};
    pthread_t rt = spawn(cycle, &stress), reader = spawn(consume, &stress);
    for (uint32_t generation = 1; generation <= STRESS_LISTS; generation++) {
        uint32_t list[VARIABLES];
        for (uint32_t i = 0; i < list_size(generation); i++)
            list[i] = (generation + i) % VARIABLES;
        CHECK_EQ(choose(stress.trace, generation, list_size(generation), list), 0);
        atomic_store(&stress.generation, generation);
        if (generation % 4 == 0)
            sched_yield();
    }
    uint32_t before = atomic_load(&stress.read);
    while (atomic_load(&stress.read) == before) /* the last list arrives */
        sched_yield();
    atomic_store(&stress.stop, true);
    join(rt);
    join(reader);
    trace_destroy(stress.trace);
}

int main(void)
{
    fill_table();
    RUN(creates_and_refuses);
    RUN(records_every_tick);
    RUN(reads_whole_records_only);
    RUN(strings_take_their_length);
    RUN(keeps_generations_apart);
    RUN(empty_list_ends_it);
    RUN(bad_list_changes_nothing);
    RUN(counts_lost_ticks_of_this_list);
    RUN(forgets_before_unload);
    RUN(survives_list_changes);
    return 0;
}
