/* SPDX-License-Identifier: MIT */
/* conveyor.c - a conveyor that sorts: tall parts are pushed off, short ones go on to the end.
 *
 *     eyes at 0.5 m           pusher at 1.40 to 1.50 m
 *   ----[|]---------------------[====]-------------------------> end at 2.0 m
 *
 * A part is measured while it is at the eyes, and followed by the encoder's pulses, 20 mm each, so
 * it does not matter when the belt stands. The belt stops, with an alarm, when a part stays at the
 * eyes for longer than the belt needs to carry it away, when the encoder does not turn, and when
 * the pusher does not come home.
 */
#include "plc_abi.h"
#include "plc_blocks.h"

#define ROOM 16u /* parts between the eyes and the pusher */
/* From the moment the part has left the eyes, its end at 0.5 m, to its middle at 1.45 m. */
#define TO_PUSHER 45u
#define LONGEST 12u /* pulses; a part has 5 */

static sr_word counts; /* of the encoder's rising edges; it wraps */
static sr_bool eye_low, eye_high, pusher_home;
static sr_bool motor, pusher, alarm;

static sr_udint pulses, arrived_at;
static sr_word counted; /* `counts` of the cycle before */
static sr_bool measuring, tall, jam, no_turn, pusher_fault, running;
static sr_uint waiting, short_parts, tall_parts, rejected;
static sr_r_trig arrived;
static sr_f_trig left_;
static sr_ton turn_delay, home_delay;
static sr_tp stroke;

/* Of each part on the way: the pulse at which it is at the pusher, and what is to be done. */
static uint32_t due[ROOM];
static uint8_t reject[ROOM];

static void forget_first(void)
{
    for (unsigned i = 1; i < ROOM; i++) {
        due[i - 1] = due[i];
        reject[i - 1] = reject[i];
    }
    SR_SET(waiting, waiting.value - 1);
}

static void measure(void)
{
    sr_r_trig_run(&arrived, eye_low.value);
    sr_f_trig_run(&left_, eye_low.value);
    if (arrived.q.value) {
        SR_SET(arrived_at, pulses.value);
        SR_SET(measuring, 1);
        SR_SET(tall, 0);
    }
    if (eye_low.value && eye_high.value)
        SR_SET(tall, 1);
    if (left_.q.value && measuring.value && waiting.value < ROOM) {
        SR_SET(measuring, 0);
        due[waiting.value] = pulses.value + TO_PUSHER;
        reject[waiting.value] = tall.value;
        SR_SET(waiting, waiting.value + 1);
        if (tall.value)
            SR_SET(tall_parts, tall_parts.value + 1);
        else
            SR_SET(short_parts, short_parts.value + 1);
    }
}

static void sort(const sr_cycle *cycle)
{
    int push = 0;
    if (waiting.value > 0 && pulses.value >= due[0]) {
#ifdef BROKEN_CONTROLLER /* for the test of the tests: it pushes the wrong ones */
        push = !reject[0];
#else
        push = reject[0];
#endif
        forget_first();
    }
    if (push)
        SR_SET(rejected, rejected.value + 1);
    sr_tp_run(&stroke, push, 160 * SR_MILLISECOND, cycle);
    SR_SET(pusher, stroke.q.value);
}

static void watch(const sr_cycle *cycle, int turned)
{
    if (eye_low.value && pulses.value - arrived_at.value > LONGEST && !jam.value) {
        SR_SET(jam, 1);
        SR_LOG(SR_LOG_WARNING, "conveyor: jam at the eyes, belt stopped");
    }
    sr_ton_run(&turn_delay, motor.value && !turned, 2 * SR_SECOND, cycle);
    if (turn_delay.q.value && !no_turn.value) {
        SR_SET(no_turn, 1);
        SR_LOG(SR_LOG_WARNING, "conveyor: the belt does not move, motor stopped");
    }
    sr_ton_run(&home_delay, !pusher.value && !pusher_home.value, SR_SECOND, cycle);
    if (home_delay.q.value && !pusher_fault.value) {
        SR_SET(pusher_fault, 1);
        SR_LOG(SR_LOG_WARNING, "conveyor: the pusher does not come home, belt stopped");
    }
    SR_SET(alarm, jam.value || no_turn.value || pusher_fault.value);
    SR_SET(running, !alarm.value);
    SR_SET(motor, running.value);
}

static void control(const sr_cycle *cycle)
{
    const uint16_t steps = cycle->tick == 0 ? 0 : (uint16_t)(counts.value - counted.value);
    SR_SET(counted, counts.value);
    SR_SET(pulses, pulses.value + steps);
    measure();
    sort(cycle);
    watch(cycle, steps != 0);
}

static const sr_task tasks[] = {{.name = "CONTROL", .interval_ns = 10000000, .run = control}};

static const sr_variable variables[] = {
    SR_ROW_INPUT("COUNTS", "%IW4", WORD, counts),
    SR_ROW_INPUT("EYE.LOW", "%IX0.1", BOOL, eye_low),
    SR_ROW_INPUT("EYE.HIGH", "%IX0.2", BOOL, eye_high),
    SR_ROW_INPUT("PUSHER.HOME", "%IX0.3", BOOL, pusher_home),
    SR_ROW_OUTPUT("MOTOR", "%QX0.0", BOOL, motor),
    SR_ROW_OUTPUT("PUSHER", "%QX0.1", BOOL, pusher),
    SR_ROW_OUTPUT("ALARM", "%QX0.2", BOOL, alarm),
    SR_ROW("PULSES", UDINT, pulses),
    SR_ROW("COUNTED", WORD, counted),
    SR_ROW("ARRIVED_AT", UDINT, arrived_at),
    SR_ROW("MEASURING", BOOL, measuring),
    SR_ROW("TALL", BOOL, tall),
    SR_ROW("RUNNING", BOOL, running),
    SR_ROW("WAITING", UINT, waiting),
    SR_ROW("COUNT.SHORT", UINT, short_parts),
    SR_ROW("COUNT.TALL", UINT, tall_parts),
    SR_ROW("COUNT.REJECTED", UINT, rejected),
    SR_ROW("FAULT.JAM", BOOL, jam),
    SR_ROW("FAULT.NO_TURN", BOOL, no_turn),
    SR_ROW("FAULT.PUSHER", BOOL, pusher_fault),
    SR_ROWS("ARRIVED", R_TRIG, arrived),
    SR_ROWS("LEFT", F_TRIG, left_),
    SR_ROWS("TURN_DELAY", TON, turn_delay),
    SR_ROWS("HOME_DELAY", TON, home_delay),
    SR_ROWS("STROKE", TP, stroke),
};

SR_PLC_IMAGE("CONVEYOR", tasks, variables, NULL, NULL);
