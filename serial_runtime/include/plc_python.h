/* SPDX-License-Identifier: MIT
 *
 * plc_python.h - function blocks of a native PLC program that have Python code evaluated.
 *
 * The code is evaluated outside the cycle, by the Python process of the program (docs/python.md);
 * the result arrives between two cycles, some milliseconds later or much later. A block never
 * waits. What goes wrong in Python, that it does not end or crashes too, is a result that begins
 * with "#EXCEPTION : ".
 *
 *     static sr_python_eval weather;
 *     ...
 *     SR_SET_STRING(weather.code, "forecast('Turin')");
 *     SR_SET(weather.trig, wanted);
 *     SR_PYTHON_EVAL(weather);
 *     if (weather.ack.value) ... weather.result.value.text ...
 *
 * SR_PYTHON_EVAL: a rising edge of TRIG has CODE evaluated, as it is in that cycle. RESULT is
 * there when ACK is set: while TRIG stays set, at least for one cycle. An edge that comes while
 * an evaluation is under way is lost.
 * SR_PYTHON_POLL: evaluates again and again while TRIG is set; ACK is set for the one cycle in
 * which a RESULT is new. CODE is taken over one evaluation ahead.
 *
 * Texts are Latin-1, as in all STRINGs; what does not fit a STRING[254] is cut.
 */
#ifndef SR_PLC_PYTHON_H
#define SR_PLC_PYTHON_H

#include "plc_abi.h"

#define SR_PYTHON_TEXT_MAX 254

enum sr_python_state { SR_PYTHON_FREE = 0, SR_PYTHON_BUSY = 1, SR_PYTHON_ANSWERED = 2 };

enum sr_python_post {
    SR_PYTHON_POSTED = 0,
    SR_PYTHON_FULL = 1, /* try again in a later cycle */
    SR_PYTHON_OFF = 2,  /* this board runs no Python */
};

/* One evaluation. Written by the runtime, between cycles, while it is BUSY. */
typedef struct sr_python_call {
    uint32_t state; /* enum sr_python_state */
    uint32_t length;
    char text[SR_PYTHON_TEXT_MAX + 2]; /* the result, NUL-terminated */
} sr_python_call;

typedef struct sr_python_eval {
    sr_bool trig, ack;
    SR_STRING(SR_PYTHON_TEXT_MAX) code, result;
    /* private */
    uint8_t trig_before, triggered;
    uint8_t pending_length;
    char pending[SR_PYTHON_TEXT_MAX]; /* the code of the trigger */
    sr_python_call call;
} sr_python_eval;

#define SR_PYTHON_EVAL(block) sr_python_run_(&(block), 0)
#define SR_PYTHON_POLL(block) sr_python_run_(&(block), 1)

/* The four rows of a block: SR_PYTHON_ROWS("WEATHER", weather) */
#define SR_PYTHON_ROWS(path, block)                                                                \
    SR_ROW(path ".TRIG", BOOL, (block).trig), SR_ROW_STRING(path ".CODE", (block).code),           \
        SR_ROW(path ".ACK", BOOL, (block).ack), SR_ROW_STRING(path ".RESULT", (block).result)

static inline uint32_t sr_python_post_(sr_python_eval *block)
{
    if (sr_runtime->size < offsetof(sr_host, python_post) + sizeof sr_runtime->python_post)
        return SR_PYTHON_OFF; /* a runtime of before */
    return sr_runtime->python_post(&block->call, block->pending, block->pending_length);
}

static inline void sr_python_run_(sr_python_eval *block, int poll)
{
    const uint8_t trig = block->trig.value != 0;
    if (!trig)
        SR_SET(block->ack, 0);
    if (trig && (poll || !block->trig_before) && !block->triggered) {
        block->triggered = 1;
        block->pending_length = block->code.value.length;
        if (block->pending_length > SR_PYTHON_TEXT_MAX)
            block->pending_length = SR_PYTHON_TEXT_MAX;
        for (uint32_t i = 0; i < block->pending_length; i++)
            block->pending[i] = block->code.value.text[i];
    }
    block->trig_before = trig;
    if (block->call.state == SR_PYTHON_ANSWERED) {
        block->call.state = SR_PYTHON_FREE;
        SR_SET_STRING(block->result, block->call.text);
        SR_SET(block->ack, 1);
        if (!poll)
            block->triggered = 0;
    } else if (poll) {
        SR_SET(block->ack, 0);
    }
    if (!block->triggered || block->call.state != SR_PYTHON_FREE)
        return;
    switch (sr_python_post_(block)) {
    case SR_PYTHON_POSTED:
        if (poll)
            block->triggered = 0;
        else
            SR_SET(block->ack, 0);
        break;
    case SR_PYTHON_OFF:
        SR_SET_STRING(block->result, "#EXCEPTION : Python is off on this board");
        SR_SET(block->ack, 1);
        block->triggered = 0;
        break;
    default:
        break; /* the queue is full: the next cycle tries again */
    }
}

#endif
