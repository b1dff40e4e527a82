/* SPDX-License-Identifier: MIT */
/* The phases of a change, with a clock that the cases move, and with a worker beside the cycle. */
#include "change.h"

#include <errno.h>

#include "harness.h"
#include "platform.h"

#define MS INT64_C(1000000)
#define MANY 200u

static _Thread_local int64_t clock_ns;
static _Thread_local int64_t look_ns; /* a look at the clock takes this long */

int64_t platform_now_ns(void)
{
    return clock_ns += look_ns;
}

static sr_dint old_values[MANY], new_values[MANY];
static sr_int narrow = {.value = -5};
static sr_dint wide;
static SR_STRING(5) text = {.value = {.length = 2, .text = "ab"}}, other;
static sr_variable old_table[MANY + 2], new_table[MANY + 2];
static struct change_pair pairs[MANY + 2];

static void set_up(void)
{
    for (uint32_t i = 0; i < MANY; i++) {
        old_table[i] = (sr_variable)SR_ROW("V", DINT, old_values[i]);
        new_table[i] = (sr_variable)SR_ROW("V", DINT, new_values[i]);
        pairs[i] = (struct change_pair){i, MANY - 1 - i}; /* the order is another one */
        old_values[i].value = (int32_t)i;
        new_values[i].value = -1;
    }
    old_table[MANY] = (sr_variable)SR_ROW("N", INT, narrow);
    new_table[MANY] = (sr_variable)SR_ROW("N", DINT, wide);
    old_table[MANY + 1] = (sr_variable)SR_ROW_STRING("T", text);
    new_table[MANY + 1] = (sr_variable)SR_ROW_STRING("T", other);
    pairs[MANY] = (struct change_pair){MANY, MANY};
    pairs[MANY + 1] = (struct change_pair){MANY + 1, MANY + 1};
}

static struct change *make(uint32_t observe, uint32_t probation)
{
    struct change *change;
    set_up();
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, MANY + 2, pairs, MANY + 2,
                           observe, probation, NULL, NULL),
             0);
    CHECK_EQ(change_phase(change), CHANGE_REHEARSING);
    return change;
}

/* One cycle of 1 ms that took `busy_ns`. */
static void rehearse(struct change *change, int64_t busy_ns)
{
    const int64_t release_ns = clock_ns;
    clock_ns += busy_ns;
    change_rehearse(change, release_ns, release_ns + MS);
    CHECK(clock_ns < release_ns + MS);
    clock_ns = release_ns + MS;
}

static void bad_pairs_are_refused(void)
{
    struct change *change;
    uint32_t bad;
    const struct change_pair beyond[] = {{0, 0}, {MANY + 2, 1}}, after[] = {{0, MANY + 2}};
    const struct change_pair twice[] = {{0, 0}, {1, 0}}, lossy[] = {{0, 0}, {1, MANY + 1}};
    set_up();
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, MANY + 2, beyond, 2, 0, 0, NULL,
                           &bad),
             -ENOENT);
    CHECK_EQ(bad, 1);
    CHECK(change == NULL);
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, MANY + 2, after, 1, 0, 0, NULL,
                           &bad),
             -ENOENT);
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, MANY + 2, twice, 2, 0, 0, NULL,
                           &bad),
             -EEXIST);
    CHECK_EQ(bad, 1);
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, MANY + 2, lossy, 2, 0, 0, NULL,
                           &bad),
             -EINVAL);
    CHECK_EQ(change_create(&change, old_table, MANY + 2, new_table, 1, pairs, 2, 0, 0, NULL, NULL),
             -EEXIST);
    new_table[0].address = NULL;
    CHECK_EQ(change_create(&change, old_table, 1, new_table, 1, lossy, 1, 0, 0, NULL, NULL),
             -EINVAL);
    change_destroy(NULL);
}

static void a_rehearsal_takes_a_part_of_what_is_left(void)
{
    struct change *change = make(0, 3);
    look_ns = 20000; /* two chunks a cycle of 100 us at most */
    rehearse(change, MS / 2);
    CHECK(change->at > 0 && change->at < MANY);
    CHECK_EQ(change->passes, 0);
    uint32_t cycles = 1;
    while (change_phase(change) == CHANGE_REHEARSING) {
        rehearse(change, MS / 4);
        cycles++;
    }
    CHECK(cycles > 3);
    CHECK_EQ(change_phase(change), CHANGE_READY);
    CHECK_EQ(change->copy_ns, (MANY + 2 + 31) / 32 * 20000); /* seven chunks */
    CHECK(change->busy_ns >= MS / 4 && change->busy_ns < MS / 4 + 50000);
    /* 140 us of copying, and as much again to spare: in 1000 less 270 us, not in 500. */
    CHECK(change_fits(change, MS));
    CHECK(!change_fits(change, MS / 2));
    change_destroy(change);
    look_ns = 0;
}

static void no_time_left_means_no_copy(void)
{
    struct change *change = make(0, 3);
    rehearse(change, MS - 1); /* an eighth of a nanosecond */
    clock_ns += MS;
    change_rehearse(change, clock_ns - 2 * MS, clock_ns - MS); /* late already */
    CHECK_EQ(change->at, 0);
    CHECK_EQ(change->passes, 0);
    CHECK_EQ(new_values[0].value, -1);
    change_destroy(change);
}

static void it_looks_at_as_many_cycles_as_told(void)
{
    struct change *change = make(3, 3);
    rehearse(change, 100);
    rehearse(change, 400);
    CHECK_EQ(change_phase(change), CHANGE_REHEARSING);
    rehearse(change, 200);
    CHECK_EQ(change_phase(change), CHANGE_READY);
    CHECK_EQ(change->busy_ns, 100);
    change_destroy(change);
}

static void values_arrive_as_they_are_at_the_switch(void)
{
    struct change *change = make(0, 3);
    rehearse(change, 100);
    old_values[7].value = 777;
    CHECK(!change_is_due(change, clock_ns + MS)); /* nobody has ordered it */
    CHECK(!change_switch(change));
    CHECK(change_order(change));
    CHECK(!change_order(change));
    CHECK(!change_is_due(change, clock_ns + 10)); /* too late in this cycle */
    CHECK(change_is_due(change, clock_ns + MS));
    CHECK(change_switch(change));
    CHECK(!change_withdraw(change));
    change_switched(change);
    CHECK_EQ(change_phase(change), CHANGE_PROBATION);
    CHECK_EQ(new_values[MANY - 1 - 7].value, 777);
    CHECK_EQ(new_values[0].value, MANY - 1);
    CHECK_EQ(wide.value, -5);
    CHECK_BYTES(&other.value, &text.value, sizeof text.value);
    for (uint32_t left = 3; left > 0; left--) {
        CHECK_EQ(change->cycles_left, left);
        change_survived(change);
    }
    change_survived(change);
    CHECK_EQ(change->cycles_left, 0);
    CHECK(!change_withdraw(change));
    CHECK(change_confirm(change));
    CHECK(!change_roll_back(change));
    CHECK_EQ(change_phase(change), CHANGE_CONFIRMED);
    change_destroy(change);
}

static void a_fault_takes_it_back(void)
{
    struct change *change = make(0, 3);
    rehearse(change, 100);
    CHECK(!change_roll_back(change));
    CHECK(change_order(change));
    CHECK(change_switch(change));
    change_switched(change);
    CHECK(change_roll_back(change));
    CHECK(!change_confirm(change));
    CHECK_EQ(change_phase(change), CHANGE_ROLLED_BACK);
    change_destroy(change);
}

static void it_is_withdrawn_in_every_phase_before_the_switch(void)
{
    for (int phase = 0; phase < 3; phase++) {
        struct change *change = make(phase == 0 ? 2 : 0, 3);
        rehearse(change, 100);
        CHECK(phase != 2 || change_order(change));
        CHECK(change_withdraw(change));
        CHECK(!change_is_due(change, clock_ns + MS));
        CHECK(!change_switch(change));
        change_destroy(change);
    }
}

/* ---- two threads: who comes first decides, and the other side knows ------------------------- */

#define ROUNDS 300

static struct change *shared_change;
static bool was_switched, was_rolled_back;

static void *cycle_side(void *unused)
{
    (void)unused;
    struct change *change = shared_change;
    was_switched = was_rolled_back = false;
    while (change_phase(change) == CHANGE_REHEARSING)
        rehearse(change, 100);
    while (!was_switched && change_phase(change) != CHANGE_WITHDRAWN)
        was_switched = change_is_due(change, clock_ns + MS) && change_switch(change);
    if (was_switched) {
        change_switched(change);
        was_rolled_back = change_roll_back(change);
    }
    return NULL;
}

static void worker_and_cycle_agree(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        shared_change = make(0, 1);
        const pthread_t cycle = spawn(cycle_side, NULL);
        bool withdrawn = false, confirmed = false;
        if (round % 3 == 0)
            withdrawn = change_withdraw(shared_change);
        while (!withdrawn && !change_order(shared_change))
            ;
        if (!withdrawn && round % 3 == 1)
            withdrawn = change_withdraw(shared_change);
        while (!withdrawn && !confirmed && change_phase(shared_change) != CHANGE_ROLLED_BACK)
            confirmed = change_confirm(shared_change);
        join(cycle);
        CHECK(was_switched == !withdrawn);
        CHECK(was_rolled_back == (was_switched && !confirmed));
        change_destroy(shared_change);
    }
}

int main(void)
{
    RUN(bad_pairs_are_refused);
    RUN(a_rehearsal_takes_a_part_of_what_is_left);
    RUN(no_time_left_means_no_copy);
    RUN(it_looks_at_as_many_cycles_as_told);
    RUN(values_arrive_as_they_are_at_the_switch);
    RUN(a_fault_takes_it_back);
    RUN(it_is_withdrawn_in_every_phase_before_the_switch);
    RUN(worker_and_cycle_agree);
    return 0;
}
