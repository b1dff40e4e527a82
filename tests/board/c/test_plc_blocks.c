/* SPDX-License-Identifier: MIT */
/* The function blocks of plc_blocks.h, run by run. */
#include "plc_blocks.h"

#include "harness.h"

#define MS SR_MILLISECOND

static sr_cycle cycle = {.size = sizeof cycle, .interval_ns = 10 * MS};

/* A run a letter of `inputs`: '1' on, '0' off. The Q after each must be as in `outputs`. */
#define RUNS(q, call, inputs, outputs)                                                             \
    do {                                                                                           \
        for (size_t i_ = 0; (inputs)[i_] != '\0'; i_++) {                                          \
            const int on = (inputs)[i_] == '1';                                                    \
            cycle.tick++;                                                                          \
            cycle.time_ns += cycle.interval_ns;                                                    \
            call;                                                                                  \
            if ((q).value != ((outputs)[i_] == '1')) {                                             \
                fprintf(stderr, "%s:%d: run %zu\n", __FILE__, __LINE__, i_);                       \
                exit(1);                                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void bistables(void)
{
    sr_sr set = {0};
    sr_rs reset = {0};
    for (int both = 0; both < 2; both++) {
        sr_sr_run(&set, 1, both);
        CHECK_EQ(set.q1.value, 1);
        sr_sr_run(&set, 0, 0);
        CHECK_EQ(set.q1.value, 1);
        sr_sr_run(&set, 0, 1);
        CHECK_EQ(set.q1.value, 0);
        sr_rs_run(&reset, 1, both);
        CHECK_EQ(reset.q1.value, !both);
        sr_rs_run(&reset, 0, 0);
        CHECK_EQ(reset.q1.value, !both);
        sr_rs_run(&reset, 1, 1);
        CHECK_EQ(reset.q1.value, 0);
    }
}

static void edges(void)
{
    sr_r_trig rising = {0}, there = {0};
    sr_f_trig falling = {0}, absent = {0};
    RUNS(rising.q, sr_r_trig_run(&rising, on), "0110100", "0100100");
    RUNS(there.q, sr_r_trig_run(&there, on), "11", "10"); /* as the standard has it */
    RUNS(falling.q, sr_f_trig_run(&falling, on), "1100101", "0010010");
    RUNS(absent.q, sr_f_trig_run(&absent, on), "00", "10");
}

static void counting_up(void)
{
    sr_ctu up = {0};
    RUNS(up.q, sr_ctu_run(&up, on, 0, 2), "1101001", "0001111");
    CHECK_EQ(up.cv.value, 3);
    sr_ctu_run(&up, 1, 1, 2); /* reset wins */
    CHECK_EQ(up.cv.value, 0);
    sr_ctu_run(&up, 1, 0, 2); /* no edge: CU was there at the reset */
    CHECK_EQ(up.cv.value, 0);
    up.cv.value = INT16_MAX;
    sr_ctu_run(&up, 0, 0, 2);
    sr_ctu_run(&up, 1, 0, 2);
    CHECK_EQ(up.cv.value, INT16_MAX);
}

static void counting_down(void)
{
    sr_ctd down = {0};
    sr_ctd_run(&down, 1, 1, 2); /* load wins */
    CHECK_EQ(down.cv.value, 2);
    RUNS(down.q, sr_ctd_run(&down, on, 0, 2), "10101", "00001");
    CHECK_EQ(down.cv.value, 0);
    down.cv.value = INT16_MIN;
    sr_ctd_run(&down, 0, 0, 2);
    sr_ctd_run(&down, 1, 0, 2);
    CHECK_EQ(down.cv.value, INT16_MIN);
}

static void counting_both_ways(void)
{
    sr_ctud both = {0};
    sr_ctud_run(&both, 0, 0, 0, 1, 5);
    CHECK_EQ(both.cv.value, 5);
    CHECK(both.qu.value && !both.qd.value);
    sr_ctud_run(&both, 1, 1, 0, 0, 5); /* two edges in one run undo each other */
    CHECK_EQ(both.cv.value, 5);
    sr_ctud_run(&both, 0, 0, 0, 0, 5);
    sr_ctud_run(&both, 0, 1, 0, 0, 5);
    CHECK_EQ(both.cv.value, 4);
    CHECK(!both.qu.value && !both.qd.value);
    sr_ctud_run(&both, 1, 1, 0, 0, 5); /* CD was there before */
    CHECK_EQ(both.cv.value, 5);
    sr_ctud_run(&both, 0, 0, 1, 1, 5); /* reset before load */
    CHECK_EQ(both.cv.value, 0);
    CHECK(both.qd.value);
}

/* PT is 30 ms, a run 10 ms. */
static void on_delay(void)
{
    sr_ton ton = {0};
    RUNS(ton.q, sr_ton_run(&ton, on, 30 * MS, &cycle), "0111", "0000");
    CHECK_EQ(ton.et.value, 20 * MS);
    RUNS(ton.q, sr_ton_run(&ton, on, 30 * MS, &cycle), "11", "11");
    CHECK_EQ(ton.et.value, 30 * MS);                              /* no more than PT */
    RUNS(ton.q, sr_ton_run(&ton, on, 90 * MS, &cycle), "1", "1"); /* what is over is over */
    RUNS(ton.q, sr_ton_run(&ton, on, 30 * MS, &cycle), "0111011110", "0000000010");
    CHECK_EQ(ton.et.value, 0);
    RUNS(ton.q, sr_ton_run(&ton, on, 0, &cycle), "10", "10"); /* at once */
}

static void off_delay(void)
{
    sr_tof tof = {0};
    RUNS(tof.q, sr_tof_run(&tof, on, 30 * MS, &cycle), "001100", "001111");
    CHECK_EQ(tof.et.value, 10 * MS);
    RUNS(tof.q, sr_tof_run(&tof, on, 30 * MS, &cycle), "1000000", "1111000");
    CHECK_EQ(tof.et.value, 30 * MS); /* until IN comes again */
    RUNS(tof.q, sr_tof_run(&tof, on, 30 * MS, &cycle), "1", "1");
    CHECK_EQ(tof.et.value, 0);
    RUNS(tof.q, sr_tof_run(&tof, on, 0, &cycle), "10", "10");
}

static void pulse(void)
{
    sr_tp tp = {0};
    RUNS(tp.q, sr_tp_run(&tp, on, 30 * MS, &cycle), "0100", "0111");
    CHECK_EQ(tp.et.value, 20 * MS);
    RUNS(tp.q, sr_tp_run(&tp, on, 30 * MS, &cycle), "00", "00");
    CHECK_EQ(tp.et.value, 0);
    RUNS(tp.q, sr_tp_run(&tp, on, 30 * MS, &cycle), "1011111", "1110000"); /* no second pulse */
    CHECK_EQ(tp.et.value, 30 * MS);                                        /* IN is still there */
    RUNS(tp.q, sr_tp_run(&tp, on, 30 * MS, &cycle), "011", "011");
    sr_tp none = {0};
    RUNS(none.q, sr_tp_run(&none, on, 0, &cycle), "11010", "00000");
}

static void a_timer_survives_a_clock_that_begins_anew(void)
{
    sr_ton ton = {0};
    cycle.time_ns = 1000 * SR_SECOND;
    RUNS(ton.q, sr_ton_run(&ton, on, 40 * MS, &cycle), "111", "000");
    CHECK_EQ(ton.et.value, 20 * MS);
    cycle.time_ns = 0; /* the next run is at 10 ms */
    RUNS(ton.q, sr_ton_run(&ton, on, 40 * MS, &cycle), "1", "0");
    CHECK_EQ(ton.et.value, 20 * MS);
    RUNS(ton.q, sr_ton_run(&ton, on, 40 * MS, &cycle), "11", "01");
}

static void forced_variables_stand(void)
{
    sr_ton ton = {.in = {0, SR_FORCED}};
    RUNS(ton.q, sr_ton_run(&ton, on, 10 * MS, &cycle), "111", "000");
    ton = (sr_ton){.q = {1, SR_FORCED}};
    RUNS(ton.q, sr_ton_run(&ton, on, 10 * MS, &cycle), "010", "111");
    sr_ctu up = {.cv = {7, SR_FORCED}};
    sr_ctu_run(&up, 1, 0, 7);
    CHECK_EQ(up.cv.value, 7);
    CHECK_EQ(up.q.value, 1);
}

/* ---- rows: every variable once ----------------------------------------------------------------
 */

static sr_sr a;
static sr_rs b;
static sr_r_trig c;
static sr_f_trig d;
static sr_ctu e;
static sr_ctd f;
static sr_ctud g;
static sr_tp h;
static sr_ton i;
static sr_tof j;
static sr_ton k;
static sr_sr l;
static const sr_variable rows[] = {
    SR_ROWS("A", SR, a),         SR_ROWS("B", RS, b),  SR_ROWS("C", R_TRIG, c),
    SR_ROWS("D", F_TRIG, d),     SR_ROWS("E", CTU, e), SR_ROWS("F", CTD, f),
    SR_ROWS("G", CTUD, g),       SR_ROWS("H", TP, h),  SR_ROWS("I", TON, i),
    SR_ROWS_RETAIN("J", TOF, j),
};

static const sr_variable of_a_task[] = {
    SR_TASK_ROWS(2, "K", TON, k),
    SR_TASK_ROWS_RETAIN(2, "L", SR, l),
};

/* Mark the value and the flags of every row: what is left unmarked of a block is padding. */
static uint32_t marked(const void *block, size_t size)
{
    uint8_t *bytes = malloc(size);
    const char *start = block;
    uint32_t count = 0;
    memset(bytes, 0, size);
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const char *value = rows[r].address, *flags = (const char *)rows[r].flags;
        if (value < start || value >= start + size)
            continue;
        for (const char *at = value; at <= flags; at++) {
            CHECK_EQ(bytes[at - start], 0); /* no byte twice */
            bytes[at - start] = 1;
            count++;
        }
    }
    free(bytes);
    return count;
}

static void every_variable_has_its_row(void)
{
    const uint32_t of_bool = 2, of_int = 3, of_time = 9;
    CHECK_EQ(marked(&a, sizeof a), 3 * of_bool);
    CHECK_EQ(marked(&b, sizeof b), 3 * of_bool);
    CHECK_EQ(marked(&c, sizeof c), 3 * of_bool);
    CHECK_EQ(marked(&d, sizeof d), 3 * of_bool);
    CHECK_EQ(marked(&e, sizeof e), 4 * of_bool + 2 * of_int);
    CHECK_EQ(marked(&f, sizeof f), 4 * of_bool + 2 * of_int);
    CHECK_EQ(marked(&g, sizeof g), 8 * of_bool + 2 * of_int);
    CHECK_EQ(marked(&h, sizeof h), 3 * of_bool + 3 * of_time);
    CHECK_EQ(marked(&i, sizeof i), 3 * of_bool + 3 * of_time);
    CHECK_EQ(marked(&j, sizeof j), 3 * of_bool + 3 * of_time);
    CHECK_EQ(rows[0].options, 0);
    CHECK_EQ(rows[sizeof rows / sizeof rows[0] - 1].options, SR_RETAIN);
    CHECK_EQ(strcmp(rows[sizeof rows / sizeof rows[0] - 1].path, "J.START"), 0);
}

static void rows_of_a_task_with_a_thread(void)
{
    const size_t count = sizeof of_a_task / sizeof of_a_task[0];
    CHECK_EQ(count, 9);
    for (size_t r = 0; r < count; r++) {
        CHECK_EQ(of_a_task[r].task, 2);
        CHECK_EQ(of_a_task[r].options, r < 6 ? 0 : SR_RETAIN);
    }
    CHECK_EQ(rows[0].task, 0);
}

int main(void)
{
    RUN(bistables);
    RUN(edges);
    RUN(counting_up);
    RUN(counting_down);
    RUN(counting_both_ways);
    RUN(on_delay);
    RUN(off_delay);
    RUN(pulse);
    RUN(a_timer_survives_a_clock_that_begins_anew);
    RUN(forced_variables_stand);
    RUN(every_variable_has_its_row);
    RUN(rows_of_a_task_with_a_thread);
    return 0;
}
