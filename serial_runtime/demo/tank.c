/* SPDX-License-Identifier: MIT
 *
 * tank.c - the demo program: a buffer tank that a recipe fills, holds and drains.
 *
 *            inlet valve                        HH 1.85 m  (overflow)
 *   supply ----[X]---->|         |              H  1.60 m
 *                      |         |
 *                      |~~~~~~~~~|  level, flow L  0.30 m
 *                      |_________|              LL 0.15 m  (dry run)
 *                          |
 *                          +---> pump 1 and pump 2 (duty and standby), speed controlled --->
 *
 * Written the way a PLC program is best written against plc_abi.h:
 *  - every variable has an IEC type (sr_real, sr_bool, ...) and is written with SR_SET only, so
 *    that it can be forced; it is read as `level.value`;
 *  - a function block is a structure of such variables, a function that runs it, and a macro for
 *    its rows in the variable table at the end of the file.
 *
 * Two tasks: CONTROL every 10 ms, SUPERVISION every 100 ms. Both run on one thread, CONTROL first,
 * so they share variables without locks.
 */
#include "plc_abi.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define DAY (86400 * SECOND)

/* ---- standard function blocks ---------------------------------------------------------------- */

/* TON: Q follows IN after IN was true for PT without a break. */
typedef struct {
    sr_bool in, q;
    sr_time pt, et;
} ton;

static void run_ton(ton *fb, int in, int64_t elapsed_ns)
{
    SR_SET(fb->in, in);
    if (!fb->in.value)
        SR_SET(fb->et, 0);
    else if (fb->et.value < fb->pt.value)
        SR_SET(fb->et, fb->et.value + elapsed_ns);
    SR_SET(fb->q, fb->in.value && fb->et.value >= fb->pt.value);
}

/* R_TRIG: Q is true for one cycle when CLK rises. */
typedef struct {
    sr_bool q, last;
} r_trig;

static int run_r_trig(r_trig *fb, int clk)
{
    SR_SET(fb->q, clk && !fb->last.value);
    SR_SET(fb->last, clk);
    return fb->q.value;
}

/* PID with output limits. The integral stops growing while the output is at a limit that it would
 * push further beyond (anti-windup), and follows the output when the loop is off. */
typedef struct {
    sr_real sp, pv, kp, tn_s, tv_s, out; /* out: 0..100 % */
    sr_real integral, error;
} pid;

static float limit(float low, float x, float high)
{
    return x < low ? low : x > high ? high : x;
}

static void run_pid(pid *fb, int on, float sp, float pv, float dt_s)
{
    float last = fb->pv.value;
    SR_SET(fb->sp, sp);
    SR_SET(fb->pv, pv);
    SR_SET(fb->error, fb->pv.value - fb->sp.value); /* too high: pump more */
    if (!on) {
        SR_SET(fb->integral, 0.0f);
        SR_SET(fb->out, 0.0f);
        return;
    }
    float rate = (fb->pv.value - last) / dt_s; /* of the level: no kick when the set point moves */
    float wanted = fb->kp.value * (fb->error.value + fb->tv_s.value * rate) + fb->integral.value;
    float step = fb->tn_s.value > 0 ? fb->kp.value * fb->error.value * dt_s / fb->tn_s.value : 0;
    if ((wanted < 100.0f || step < 0) && (wanted > 0.0f || step > 0))
        SR_SET(fb->integral, limit(0.0f, fb->integral.value + step, 100.0f));
    SR_SET(fb->out, limit(0.0f, wanted, 100.0f));
}

/* An alarm: on-delay, latched until acknowledged. `active` follows the condition. */
typedef struct {
    sr_bool active, unacknowledged;
    ton delay;
} alarm_fb;

#define ALARM_ROWS(path, fb)                                                                       \
    SR_ROW(path, BOOL, (fb).active), SR_ROW(path "_UNACK", BOOL, (fb).unacknowledged),             \
        SR_ROW(path "_DELAY", TIME, (fb).delay.pt)

/* ---- process inputs and outputs -------------------------------------------------------------- */

static sr_word level_raw; /* microampere: 4 to 20 mA is 0 to 2 m */
static sr_word flow_raw;  /* microampere: 4 to 20 mA is 0 to 20 l/s */
static sr_bool pump_ok[2], not_dry, not_full, ack_button; /* wired fail-safe */
static sr_uint pump_speed[2];                             /* 0..10000 is 0..100 % */
static sr_bool pump_run[2], inlet, horn, lamp;

/* ---- the rest of the program's variables ----------------------------------------------------- */

static sr_bool automatic = {1, 0}, acknowledge, sensor_ok;
static sr_real level_m, flow_lps, demand;
static alarm_fb alarm_hh = {.delay.pt = {500 * MS, 0}}, alarm_h = {.delay.pt = {SECOND, 0}};
static alarm_fb alarm_ll = {.delay.pt = {500 * MS, 0}}, alarm_l = {.delay.pt = {SECOND, 0}};
static alarm_fb alarm_sensor = {.delay.pt = {300 * MS, 0}}, alarm_pump = {.delay.pt = {SECOND, 0}};
static r_trig ack_edge, batch_edge;
static pid level_pid = {.kp = {400.0f, 0}, .tn_s = {3.0f, 0}, .tv_s = {0.1f, 0}}; /* kp: %/m */

enum phase { FILL, HOLD, DRAIN };
static sr_usint phase;
static sr_time phase_time, hold_time = {5 * SECOND, 0};
static sr_real fill_level = {1.2f, 0}, drain_level = {0.4f, 0};
static SR_STRING(20) recipe_name;
static SR_STRING(24) state_text;
static SR_STRING(40) last_alarm;

static sr_sint duty = {1, 0}; /* 1 or 2: the pump that starts first */
static sr_time run_time[2];
static sr_udint starts[2];
static sr_uint batches;
static sr_lreal volume_l;

static sr_byte alarm_bits;
static sr_dword event_bits;
static sr_lword lamp_pattern = {0x00FF00FF00FF00FF, 0};
static sr_ulint cycles;
static sr_lint uptime_ms;
static sr_dint level_trend; /* mm/min */
static sr_int supply_percent;
static sr_dt clock_start = {INT64_C(1767225600) * SECOND, 0}, clock_now; /* 2026-01-01 */
static sr_date today;
static sr_tod time_of_day;

/* ---- CONTROL, every 10 ms -------------------------------------------------------------------- */

static float milliamps(uint16_t microamps, float full_scale)
{
    return ((float)microamps - 4000.0f) / 16000.0f * full_scale;
}

/* NAMUR NE 43: below 3.6 mA or above 21 mA the current loop is broken. */
static int loop_broken(void)
{
    return level_raw.value < 3600 || level_raw.value > 21000;
}

static void measure(void)
{
    if (!loop_broken()) { /* else the last level is kept */
        float raw = milliamps(level_raw.value, 2.0f);
        SR_SET(level_m, level_m.value + (raw - level_m.value) * 0.2f); /* first order, 50 ms */
    }
    SR_SET(flow_lps, limit(0.0f, milliamps(flow_raw.value, 20.0f), 20.0f));
}

static void raise_alarm(alarm_fb *fb, int condition, int64_t interval_ns, const char *text)
{
    int was = fb->active.value;
    run_ton(&fb->delay, condition, interval_ns);
    SR_SET(fb->active, fb->delay.q.value);
    if (fb->active.value && !was) {
        SR_SET(fb->unacknowledged, 1);
        SR_SET_STRING(last_alarm, text);
        SR_LOG(SR_LOG_WARNING, text);
    }
    if (ack_edge.q.value)
        SR_SET(fb->unacknowledged, 0);
}

/* With a hysteresis of 5 cm: once beyond its limit, a level must come back that far. */
static int beyond(const alarm_fb *fb, float excess_m)
{
    return excess_m > (fb->delay.in.value ? -0.05f : 0.0f);
}

static void watch_alarms(int64_t dt)
{
    float level = level_m.value;
    run_r_trig(&ack_edge, acknowledge.value || ack_button.value);
    int full = beyond(&alarm_hh, level - 1.85f) || !not_full.value;
    raise_alarm(&alarm_hh, full, dt, "HIGH HIGH level");
    raise_alarm(&alarm_h, beyond(&alarm_h, level - 1.60f), dt, "high level");
    raise_alarm(&alarm_l, beyond(&alarm_l, 0.30f - level), dt, "low level");
    raise_alarm(&alarm_ll, beyond(&alarm_ll, 0.15f - level), dt, "LOW LOW level: pumps locked");
    raise_alarm(&alarm_sensor, loop_broken(), dt, "level sensor: current out of range");
    SR_SET(sensor_ok, !alarm_sensor.active.value);
    raise_alarm(&alarm_pump, !pump_ok[0].value && !pump_ok[1].value, dt, "both pumps failed");
}

static void enter(enum phase next, const char *message)
{
    SR_SET(phase, next);
    SR_SET(phase_time, 0);
    SR_LOG(SR_LOG_INFO, message);
}

/* Fill to `fill_level`, hold there for `hold_time` with the level under control, drain. */
static void run_recipe(int64_t interval_ns)
{
    if (!automatic.value)
        return;
    SR_SET(phase_time, phase_time.value + interval_ns);
    switch (phase.value) {
    case FILL:
        if (level_m.value >= fill_level.value)
            enter(HOLD, "recipe: filled, holding");
        break;
    case HOLD:
        if (phase_time.value >= hold_time.value)
            enter(DRAIN, "recipe: held, draining");
        break;
    default:
        if (level_m.value <= drain_level.value)
            enter(FILL, "recipe: batch done, filling");
        break;
    }
    if (run_r_trig(&batch_edge, phase.value == DRAIN)) {
        SR_SET(batches, batches.value + 1);
        SR_SET(duty, duty.value == 1 ? 2 : 1); /* both pumps age alike */
    }
}

static void run_pumps(int64_t interval_ns)
{
    int draining = phase.value == DRAIN;
    int wanted = automatic.value && phase.value != FILL;
    run_pid(&level_pid, wanted, draining ? drain_level.value - 0.2f : fill_level.value,
            level_m.value, (float)interval_ns / (float)SECOND);
    /* High high or a lost sensor: empty the tank at full speed. The dry-run switch still rules. */
    int emergency = alarm_hh.active.value || !sensor_ok.value;
    SR_SET(demand, emergency ? 100.0f : level_pid.out.value);

    int may_run = not_dry.value && !alarm_ll.active.value;
    int first = duty.value == 2 ? 1 : 0;
    if (!pump_ok[first].value)
        first = 1 - first; /* the standby takes over */
    for (int i = 0; i < 2; i++) {
        int assist = i != first && (alarm_h.active.value || emergency);
        int threshold = pump_run[i].value ? 2 : 8; /* percent; no short cycles */
        int run = may_run && pump_ok[i].value && (i == first || assist) &&
                  demand.value > (float)threshold;
        if (run && !pump_run[i].value)
            SR_SET(starts[i], starts[i].value + 1);
        if (run)
            SR_SET(run_time[i], run_time[i].value + interval_ns);
        SR_SET(pump_run[i], run);
        SR_SET(pump_speed[i], run ? limit(20.0f, demand.value, 100.0f) * 100.0f : 0.0f);
    }
    SR_SET(inlet, automatic.value && phase.value != DRAIN && !emergency && not_full.value);
}

static void control(const sr_cycle *cycle)
{
    measure();
    watch_alarms(cycle->interval_ns);
    run_recipe(cycle->interval_ns);
    run_pumps(cycle->interval_ns);
    SR_SET(volume_l, volume_l.value + (double)flow_lps.value * (double)cycle->interval_ns / 1e9);
    SR_SET(cycles, cycles.value + 1);
}

/* ---- SUPERVISION, every 100 ms --------------------------------------------------------------- */

static void tell_state(void)
{
    static const char *const names[] = {"filling", "holding", "draining"};
    const char *text = phase.value <= DRAIN ? names[phase.value] : "?";
    if (!sensor_ok.value)
        text = "SENSOR FAULT: emptying";
    else if (alarm_hh.active.value)
        text = "HIGH HIGH: emptying";
    else if (!not_dry.value)
        text = "dry: pumps locked";
    else if (!automatic.value)
        text = "off";
    SR_SET_STRING(state_text, text);
}

/* The PLC has no wall clock: an operator sets (forces) CLOCK.START to the time of the start. */
static void run_clock(int64_t interval_ns)
{
    SR_SET(uptime_ms, uptime_ms.value + interval_ns / MS);
    SR_SET(clock_now, clock_start.value + uptime_ms.value * MS);
    SR_SET(time_of_day, clock_now.value % DAY);
    SR_SET(today, clock_now.value - time_of_day.value);
}

static void supervise(const sr_cycle *cycle)
{
    static float last_level;
    static uint32_t turn;
    const alarm_fb *all[] = {&alarm_hh, &alarm_h, &alarm_l, &alarm_ll, &alarm_sensor, &alarm_pump};
    unsigned active = 0, unacknowledged = 0;
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        active |= (unsigned)all[i]->active.value << i;
        unacknowledged |= (unsigned)all[i]->unacknowledged.value << i;
    }
    SR_SET(alarm_bits, active);
    SR_SET(event_bits, active | unacknowledged << 8 | (unsigned)phase.value << 16);

    turn++;
    SR_SET(horn, unacknowledged & 1u);
    SR_SET(lamp, unacknowledged != 0 ? (lamp_pattern.value >> (turn % 64)) & 1 : active != 0);
    if (turn % 10 == 0) {
        SR_SET(level_trend, (level_m.value - last_level) * 60000.0f);
        last_level = level_m.value;
    }
    SR_SET(supply_percent, flow_lps.value / 20.0f * 100.0f);
    tell_state();
    run_clock(cycle->interval_ns);
}

/* ---- start, stop and tables ------------------------------------------------------------------ */

static int32_t init(void)
{
    SR_SET_STRING(recipe_name, "RINSE 120 L");
    SR_LOG(SR_LOG_INFO, "tank: ready");
    return 0;
}

static void fini(void)
{
    SR_LOG(SR_LOG_INFO, "tank: stopped");
}

static const sr_task tasks[] = {
    {.name = "CONTROL", .interval_ns = 10 * MS, .priority = 0, .run = control},
    {.name = "SUPERVISION", .interval_ns = 100 * MS, .priority = 1, .run = supervise},
};

static const sr_variable variables[] = {
    SR_ROW_INPUT("LEVEL.RAW", "%IW0", WORD, level_raw),
    SR_ROW_INPUT("FLOW.RAW", "%IW1", WORD, flow_raw),
    SR_ROW_INPUT("PUMP1.OK", "%IX16.0", BOOL, pump_ok[0]),
    SR_ROW_INPUT("PUMP2.OK", "%IX16.1", BOOL, pump_ok[1]),
    SR_ROW_INPUT("TANK.NOT_DRY", "%IX16.2", BOOL, not_dry),
    SR_ROW_INPUT("TANK.NOT_FULL", "%IX16.3", BOOL, not_full),
    SR_ROW_INPUT("ALARM.ACK_BUTTON", "%IX16.4", BOOL, ack_button),
    SR_ROW_OUTPUT("PUMP1.SPEED", "%QW0", UINT, pump_speed[0]),
    SR_ROW_OUTPUT("PUMP2.SPEED", "%QW1", UINT, pump_speed[1]),
    SR_ROW_OUTPUT("PUMP1.RUN", "%QX16.0", BOOL, pump_run[0]),
    SR_ROW_OUTPUT("PUMP2.RUN", "%QX16.1", BOOL, pump_run[1]),
    SR_ROW_OUTPUT("TANK.INLET", "%QX16.2", BOOL, inlet),
    SR_ROW_OUTPUT("ALARM.HORN", "%QX16.3", BOOL, horn),
    SR_ROW_OUTPUT("ALARM.LAMP", "%QX16.4", BOOL, lamp),
    SR_ROW("TANK.LEVEL", REAL, level_m),
    SR_ROW("TANK.TREND", DINT, level_trend),
    SR_ROW("TANK.SENSOR_OK", BOOL, sensor_ok),
    SR_ROW("TANK.AUTO", BOOL, automatic),
    SR_ROW_STRING("TANK.STATE", state_text),
    SR_ROW("FLOW.RATE", REAL, flow_lps),
    SR_ROW("FLOW.PERCENT", INT, supply_percent),
    SR_ROW_RETAIN("FLOW.VOLUME", LREAL, volume_l),
    SR_ROW("PUMP.DEMAND", REAL, demand),
    SR_ROW_RETAIN("PUMP.DUTY", SINT, duty),
    SR_ROW_RETAIN("PUMP1.RUN_TIME", TIME, run_time[0]),
    SR_ROW_RETAIN("PUMP2.RUN_TIME", TIME, run_time[1]),
    SR_ROW_RETAIN("PUMP1.STARTS", UDINT, starts[0]),
    SR_ROW_RETAIN("PUMP2.STARTS", UDINT, starts[1]),
    SR_ROW("PID.SP", REAL, level_pid.sp),
    SR_ROW("PID.KP", REAL, level_pid.kp),
    SR_ROW("PID.TN", REAL, level_pid.tn_s),
    SR_ROW("PID.ERROR", REAL, level_pid.error),
    SR_ROW("PID.OUT", REAL, level_pid.out),
    SR_ROW_STRING("RECIPE.NAME", recipe_name),
    SR_ROW("RECIPE.PHASE", USINT, phase),
    SR_ROW("RECIPE.PHASE_TIME", TIME, phase_time),
    SR_ROW("RECIPE.HOLD_TIME", TIME, hold_time),
    SR_ROW("RECIPE.FILL_LEVEL", REAL, fill_level),
    SR_ROW("RECIPE.DRAIN_LEVEL", REAL, drain_level),
    SR_ROW_RETAIN("RECIPE.BATCHES", UINT, batches),
    ALARM_ROWS("ALARM.HH", alarm_hh),
    ALARM_ROWS("ALARM.H", alarm_h),
    ALARM_ROWS("ALARM.L", alarm_l),
    ALARM_ROWS("ALARM.LL", alarm_ll),
    ALARM_ROWS("ALARM.SENSOR", alarm_sensor),
    SR_ROW("ALARM.PUMPS", BOOL, alarm_pump.active),
    SR_ROW("ALARM.ACK", BOOL, acknowledge),
    SR_ROW("ALARM.BITS", BYTE, alarm_bits),
    SR_ROW("ALARM.EVENTS", DWORD, event_bits),
    SR_ROW("ALARM.LAMP_PATTERN", LWORD, lamp_pattern),
    SR_ROW_STRING_RETAIN("ALARM.LAST", last_alarm),
    SR_ROW("CLOCK.CYCLES", ULINT, cycles),
    SR_ROW("CLOCK.UPTIME_MS", LINT, uptime_ms),
    SR_ROW("CLOCK.START", DT, clock_start),
    SR_ROW("CLOCK.NOW", DT, clock_now),
    SR_ROW("CLOCK.TODAY", DATE, today),
    SR_ROW("CLOCK.TIME_OF_DAY", TOD, time_of_day),
};

SR_PLC_IMAGE("TANK", tasks, variables, init, fini);
