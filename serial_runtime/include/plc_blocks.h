/* SPDX-License-Identifier: MIT
 *
 * plc_blocks.h - the standard function blocks of IEC 61131-3 (2nd edition, tables 34 to 37).
 *
 * Each is a structure of variables, a function that runs it once, and rows of all its variables,
 * inputs, outputs and internals:
 *
 *     static sr_ton delay;
 *     ... sr_ton_run(&delay, on_switch.value, 2 * SR_SECOND, cycle);  if (delay.q.value) ...
 *     static const sr_variable variables[] = {SR_ROWS("DELAY", TON, delay), ...};
 *
 * Whatever has a row can be watched and forced, and is kept by an online change: a timer goes on
 * through one. So give a block's rows even when nobody shall look at them. SR_ROWS_RETAIN asks for
 * its variables to be kept over a stop. SR_TASK_ROWS(n, ...) and SR_TASK_ROWS_RETAIN(n, ...) are
 * for a block of tasks[n - 1] that says SR_TASK_THREAD.
 *
 * Call a block once in every run of one and the same task. Timers measure by `cycle->time_ns`; when
 * that lies before their start (the board was restarted, and a retained timer was not) they go on
 * from the time that had elapsed.
 */
#ifndef SR_PLC_BLOCKS_H
#define SR_PLC_BLOCKS_H

#include "plc_abi.h"

#define SR_MILLISECOND INT64_C(1000000)
#define SR_SECOND INT64_C(1000000000)

/* ---- bistable, table 34 --------------------------------------------------------------------- */

/* Set dominates. */
typedef struct sr_sr {
    sr_bool s1, r, q1;
} sr_sr;

static inline void sr_sr_run(sr_sr *block, int s1, int r)
{
    SR_SET(block->s1, s1 != 0);
    SR_SET(block->r, r != 0);
    SR_SET(block->q1, block->s1.value || (!block->r.value && block->q1.value));
}

/* Reset dominates. */
typedef struct sr_rs {
    sr_bool s, r1, q1;
} sr_rs;

static inline void sr_rs_run(sr_rs *block, int s, int r1)
{
    SR_SET(block->s, s != 0);
    SR_SET(block->r1, r1 != 0);
    SR_SET(block->q1, !block->r1.value && (block->s.value || block->q1.value));
}

/* ---- edges, table 35 ------------------------------------------------------------------------ */

/* Q for one run when CLK rises; also in the first run, if CLK is there. */
typedef struct sr_r_trig {
    sr_bool clk, q;
    sr_bool m; /* CLK of the run before */
} sr_r_trig;

static inline void sr_r_trig_run(sr_r_trig *block, int clk)
{
    SR_SET(block->clk, clk != 0);
    SR_SET(block->q, block->clk.value && !block->m.value);
    SR_SET(block->m, block->clk.value);
}

/* Q for one run when CLK falls; also in the first run, if CLK is not there. */
typedef struct sr_f_trig {
    sr_bool clk, q;
    sr_bool m; /* not CLK of the run before */
} sr_f_trig;

static inline void sr_f_trig_run(sr_f_trig *block, int clk)
{
    SR_SET(block->clk, clk != 0);
    SR_SET(block->q, !block->clk.value && !block->m.value);
    SR_SET(block->m, !block->clk.value);
}

/* ---- counters, table 36 --------------------------------------------------------------------- */

typedef struct sr_ctu {
    sr_bool cu, r;
    sr_int pv;
    sr_bool q;
    sr_int cv;
    sr_bool m; /* CU of the run before */
} sr_ctu;

static inline void sr_ctu_run(sr_ctu *block, int cu, int r, int16_t pv)
{
    SR_SET(block->cu, cu != 0);
    SR_SET(block->r, r != 0);
    SR_SET(block->pv, pv);
    if (block->r.value)
        SR_SET(block->cv, 0);
    else if (block->cu.value && !block->m.value && block->cv.value < INT16_MAX)
        SR_SET(block->cv, block->cv.value + 1);
    SR_SET(block->m, block->cu.value);
    SR_SET(block->q, block->cv.value >= block->pv.value);
}

typedef struct sr_ctd {
    sr_bool cd, ld;
    sr_int pv;
    sr_bool q;
    sr_int cv;
    sr_bool m; /* CD of the run before */
} sr_ctd;

static inline void sr_ctd_run(sr_ctd *block, int cd, int ld, int16_t pv)
{
    SR_SET(block->cd, cd != 0);
    SR_SET(block->ld, ld != 0);
    SR_SET(block->pv, pv);
    if (block->ld.value)
        SR_SET(block->cv, block->pv.value);
    else if (block->cd.value && !block->m.value && block->cv.value > INT16_MIN)
        SR_SET(block->cv, block->cv.value - 1);
    SR_SET(block->m, block->cd.value);
    SR_SET(block->q, block->cv.value <= 0);
}

typedef struct sr_ctud {
    sr_bool cu, cd, r, ld;
    sr_int pv;
    sr_bool qu, qd;
    sr_int cv;
    sr_bool mu, md; /* CU and CD of the run before */
} sr_ctud;

static inline void sr_ctud_run(sr_ctud *block, int cu, int cd, int r, int ld, int16_t pv)
{
    SR_SET(block->cu, cu != 0);
    SR_SET(block->cd, cd != 0);
    SR_SET(block->r, r != 0);
    SR_SET(block->ld, ld != 0);
    SR_SET(block->pv, pv);
    const int up = block->cu.value && !block->mu.value;
    const int down = block->cd.value && !block->md.value;
    if (block->r.value)
        SR_SET(block->cv, 0);
    else if (block->ld.value)
        SR_SET(block->cv, block->pv.value);
    else if (up && !down && block->cv.value < INT16_MAX)
        SR_SET(block->cv, block->cv.value + 1);
    else if (down && !up && block->cv.value > INT16_MIN)
        SR_SET(block->cv, block->cv.value - 1);
    SR_SET(block->mu, block->cu.value);
    SR_SET(block->md, block->cd.value);
    SR_SET(block->qu, block->cv.value >= block->pv.value);
    SR_SET(block->qd, block->cv.value <= 0);
}

/* ---- timers, table 37 ----------------------------------------------------------------------- */

enum sr_timer_state {
    SR_TIMER_IDLE = 0,
    SR_TIMER_RUNS = 1,
    SR_TIMER_DONE = 2,  /* the time is over */
    SR_TIMER_ARMED = 3, /* TOF: IN is there */
};

typedef struct sr_timer {
    sr_bool in;
    sr_time pt;
    sr_bool q;
    sr_time et;
    sr_usint state;
    sr_time start;
} sr_timer;
typedef sr_timer sr_tp;  /* Q for PT from when IN rises */
typedef sr_timer sr_ton; /* Q when IN was there for PT */
typedef sr_timer sr_tof; /* Q until IN was not there for PT */

static inline void sr_timer_begin_(sr_timer *block, int in, int64_t pt, const sr_cycle *cycle)
{
    SR_SET(block->in, in != 0);
    SR_SET(block->pt, pt);
    if (cycle->time_ns < block->start.value)
        SR_SET(block->start, cycle->time_ns - block->et.value);
}

static inline void sr_timer_go_(sr_timer *block, const sr_cycle *cycle)
{
    SR_SET(block->start, cycle->time_ns);
    SR_SET(block->state, SR_TIMER_RUNS);
}

/* While it runs: measure, and see whether the time is over. */
static inline void sr_timer_measure_(sr_timer *block, const sr_cycle *cycle)
{
    if (block->state.value != SR_TIMER_RUNS)
        return;
    const int64_t elapsed = cycle->time_ns - block->start.value;
    const int done = elapsed >= block->pt.value;
    SR_SET(block->et, done ? block->pt.value : elapsed);
    if (done)
        SR_SET(block->state, SR_TIMER_DONE);
}

static inline void sr_timer_rest_(sr_timer *block, uint8_t state)
{
    SR_SET(block->state, state);
    SR_SET(block->et, 0);
}

static inline void sr_tp_run(sr_tp *block, int in, int64_t pt, const sr_cycle *cycle)
{
    sr_timer_begin_(block, in, pt, cycle);
    if (block->state.value == SR_TIMER_IDLE && block->in.value)
        sr_timer_go_(block, cycle);
    sr_timer_measure_(block, cycle);
    SR_SET(block->q, block->state.value == SR_TIMER_RUNS);
    if (block->state.value == SR_TIMER_DONE && !block->in.value)
        sr_timer_rest_(block, SR_TIMER_IDLE);
}

static inline void sr_ton_run(sr_ton *block, int in, int64_t pt, const sr_cycle *cycle)
{
    sr_timer_begin_(block, in, pt, cycle);
    if (!block->in.value)
        sr_timer_rest_(block, SR_TIMER_IDLE);
    else if (block->state.value == SR_TIMER_IDLE)
        sr_timer_go_(block, cycle);
    sr_timer_measure_(block, cycle);
    SR_SET(block->q, block->state.value == SR_TIMER_DONE);
}

static inline void sr_tof_run(sr_tof *block, int in, int64_t pt, const sr_cycle *cycle)
{
    sr_timer_begin_(block, in, pt, cycle);
    if (block->in.value)
        sr_timer_rest_(block, SR_TIMER_ARMED);
    else if (block->state.value == SR_TIMER_ARMED)
        sr_timer_go_(block, cycle);
    sr_timer_measure_(block, cycle);
    SR_SET(block->q, block->state.value == SR_TIMER_ARMED || block->state.value == SR_TIMER_RUNS);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* clang-format off */
#define SR_ROWS_SR_(row, task, p, v)                                                               \
    row(task, p ".S1", BOOL, (v).s1), row(task, p ".R", BOOL, (v).r),                              \
    row(task, p ".Q1", BOOL, (v).q1)
#define SR_ROWS_RS_(row, task, p, v)                                                               \
    row(task, p ".S", BOOL, (v).s), row(task, p ".R1", BOOL, (v).r1),                              \
    row(task, p ".Q1", BOOL, (v).q1)
#define SR_ROWS_TRIG_(row, task, p, v)                                                             \
    row(task, p ".CLK", BOOL, (v).clk), row(task, p ".Q", BOOL, (v).q),                            \
    row(task, p ".M", BOOL, (v).m)
#define SR_ROWS_CTU_(row, task, p, v)                                                              \
    row(task, p ".CU", BOOL, (v).cu), row(task, p ".R", BOOL, (v).r),                              \
    row(task, p ".PV", INT, (v).pv), row(task, p ".Q", BOOL, (v).q),                               \
    row(task, p ".CV", INT, (v).cv), row(task, p ".M", BOOL, (v).m)
#define SR_ROWS_CTD_(row, task, p, v)                                                              \
    row(task, p ".CD", BOOL, (v).cd), row(task, p ".LD", BOOL, (v).ld),                            \
    row(task, p ".PV", INT, (v).pv), row(task, p ".Q", BOOL, (v).q),                               \
    row(task, p ".CV", INT, (v).cv), row(task, p ".M", BOOL, (v).m)
#define SR_ROWS_CTUD_(row, task, p, v)                                                             \
    row(task, p ".CU", BOOL, (v).cu), row(task, p ".CD", BOOL, (v).cd),                            \
    row(task, p ".R", BOOL, (v).r), row(task, p ".LD", BOOL, (v).ld),                              \
    row(task, p ".PV", INT, (v).pv), row(task, p ".QU", BOOL, (v).qu),                             \
    row(task, p ".QD", BOOL, (v).qd), row(task, p ".CV", INT, (v).cv),                             \
    row(task, p ".MU", BOOL, (v).mu), row(task, p ".MD", BOOL, (v).md)
#define SR_ROWS_TIMER_(row, task, p, v)                                                            \
    row(task, p ".IN", BOOL, (v).in), row(task, p ".PT", TIME, (v).pt),                            \
    row(task, p ".Q", BOOL, (v).q), row(task, p ".ET", TIME, (v).et),                              \
    row(task, p ".STATE", USINT, (v).state), row(task, p ".START", TIME, (v).start)

#define SR_ROWS_R_TRIG_ SR_ROWS_TRIG_
#define SR_ROWS_F_TRIG_ SR_ROWS_TRIG_
#define SR_ROWS_TP_ SR_ROWS_TIMER_
#define SR_ROWS_TON_ SR_ROWS_TIMER_
#define SR_ROWS_TOF_ SR_ROWS_TIMER_
/* clang-format on */

/* As SR_ROW, with the name of a block in place of a type. */
#define SR_ROWS(path, block, v) SR_ROWS_##block##_(SR_TASK_ROW, 0, path, v)
#define SR_ROWS_RETAIN(path, block, v) SR_ROWS_##block##_(SR_TASK_ROW_RETAIN, 0, path, v)
#define SR_TASK_ROWS(task, path, block, v) SR_ROWS_##block##_(SR_TASK_ROW, task, path, v)
#define SR_TASK_ROWS_RETAIN(task, path, block, v)                                                  \
    SR_ROWS_##block##_(SR_TASK_ROW_RETAIN, task, path, v)

#endif
