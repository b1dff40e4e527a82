/* SPDX-License-Identifier: MIT */
/* Python blocks whose code the tests force, and variables of every kind to share. */
#include "plc_python.h"

static sr_python_eval once, again;
static sr_udint once_answers, again_answers, counter;
static sr_dint level = {.value = 5};
static sr_real ratio;
static sr_bool lamp;
static sr_bool button;
static sr_time span;
static SR_STRING(20) text;

static void run(const sr_cycle *cycle)
{
    (void)cycle;
    const uint8_t before = once.ack.value;
    SR_PYTHON_EVAL(once);
    SR_PYTHON_POLL(again);
    SR_SET(once_answers, once_answers.value + (once.ack.value && !before));
    SR_SET(again_answers, again_answers.value + again.ack.value);
    SR_SET(counter, counter.value + 1);
}

static const sr_task tasks[] = {{.name = "MAIN", .interval_ns = 1000000, .run = run}};
static const sr_variable variables[] = {
    SR_PYTHON_ROWS("ONCE", once),
    SR_PYTHON_ROWS("AGAIN", again),
    SR_ROW("ONCE_ANSWERS", UDINT, once_answers),
    SR_ROW("AGAIN_ANSWERS", UDINT, again_answers),
    SR_ROW("COUNTER", UDINT, counter),
    SR_ROW("TANK.LEVEL", DINT, level),
    SR_ROW("RATIO", REAL, ratio),
    SR_ROW("SPAN", TIME, span),
    SR_ROW_STRING("TEXT", text),
    SR_ROW_OUTPUT("LAMP", "%QX0.0", BOOL, lamp),
    SR_ROW_INPUT("BUTTON", "%IX0.0", BOOL, button),
};

SR_PLC_IMAGE("blocks", tasks, variables, 0, 0);
