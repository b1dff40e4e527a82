/* SPDX-License-Identifier: MIT */
/* heater.c - a heater held at a temperature: PI control of a relay by pulse width.
 *
 *   operator: setpoint, enable --> [PI, 100 ms] --> duty --> [pulse width, 10 ms] --> heat
 *                                      ^                                               |
 *                                      +---- transmitter, 4 to 20 mA <---- [heater] <--+
 *
 * Heat is off, and stays off until the operator switches off and on again, when the transmitter's
 * current is out of its range for 300 ms, when the safety thermostat opens, or when full power for
 * a minute warms nothing up.
 */
#include "plc_abi.h"
#include "plc_blocks.h"

#define WINDOW (2 * SR_SECOND)
#define MINUTE (60 * SR_SECOND)

static sr_word temperature_raw, setpoint_raw; /* uA: 0 to 150 degrees; 0.1 degrees */
static sr_bool thermostat_ok, enable;
static sr_bool heat, alarm;
static sr_uint power; /* for an analog actuator; unused while the relay is */

static sr_real temperature, setpoint, duty, integral, kp = {0.04f, 0}, tn_s = {80.0f, 0};
static sr_bool sensor_fault, thermostat_fault, loop_fault, tripped;
static sr_time window;
static sr_real warm_from;
static sr_ton sensor_delay, loop_delay;
static sr_r_trig switched_on;

static float limited(float low, float x, float high)
{
    return x < low ? low : x > high ? high : x;
}

static void supervise(const sr_cycle *cycle)
{
    const int raw = temperature_raw.value;
    sr_ton_run(&sensor_delay, raw < 3600 || raw > 21000, 300 * SR_MILLISECOND, cycle);
    const int full = duty.value >= 1.0f && heat.value;
    if (!full || temperature.value > warm_from.value + 2.0f)
        SR_SET(warm_from, temperature.value);
    const int warms = temperature.value > warm_from.value;
    sr_ton_run(&loop_delay, full && !warms, MINUTE, cycle);
    sr_r_trig_run(&switched_on, enable.value);
    if (switched_on.q.value) {
        SR_SET(sensor_fault, 0);
        SR_SET(thermostat_fault, 0);
        SR_SET(loop_fault, 0);
    }
    if (sensor_delay.q.value && !sensor_fault.value) {
        SR_SET(sensor_fault, 1);
        SR_LOG(SR_LOG_WARNING, "heater: transmitter out of range, heat is off");
    }
    if (!thermostat_ok.value && !thermostat_fault.value) {
        SR_SET(thermostat_fault, 1);
        SR_LOG(SR_LOG_WARNING, "heater: safety thermostat open, heat is off");
    }
    if (loop_delay.q.value && !loop_fault.value) {
        SR_SET(loop_fault, 1);
        SR_LOG(SR_LOG_WARNING, "heater: full power warms nothing up, heat is off");
    }
    SR_SET(tripped, sensor_fault.value || thermostat_fault.value || loop_fault.value);
    SR_SET(alarm, tripped.value);
}

static void control(const sr_cycle *cycle)
{
    const int usable = temperature_raw.value >= 3600 && temperature_raw.value <= 21000;
    if (usable) /* else the last one, until the fault is sure */
        SR_SET(temperature, ((float)temperature_raw.value - 4000.0f) * 150.0f / 16000.0f);
    SR_SET(setpoint, limited(0.0f, (float)setpoint_raw.value / 10.0f, 95.0f));
    if (!enable.value || tripped.value) {
        SR_SET(integral, 0.0f);
        SR_SET(duty, 0.0f);
        return;
    }
    const float error = setpoint.value - temperature.value;
    const float wanted = kp.value * error + integral.value;
    const float step = kp.value * error * (float)cycle->interval_ns / (float)SR_SECOND / tn_s.value;
    if ((wanted < 1.0f || step < 0.0f) && (wanted > 0.0f || step > 0.0f))
        SR_SET(integral, limited(0.0f, integral.value + step, 1.0f));
    SR_SET(duty, limited(0.0f, wanted, 1.0f));
}

static void modulate(const sr_cycle *cycle)
{
    supervise(cycle);
    SR_SET(window, (window.value + cycle->interval_ns) % WINDOW);
    const int on = (float)window.value < duty.value * (float)WINDOW;
#ifdef BROKEN_CONTROLLER /* for the test of the tests: it heats whenever it is switched on */
    SR_SET(heat, enable.value);
    (void)on;
#else
    SR_SET(heat, on && enable.value && !tripped.value);
#endif
}

static const sr_task tasks[] = {
    {.name = "MODULATE", .interval_ns = 10000000, .priority = 0, .run = modulate},
    {.name = "CONTROL", .interval_ns = 100000000, .priority = 1, .run = control},
};

static const sr_variable variables[] = {
    SR_ROW_INPUT("TEMPERATURE_RAW", "%IW10", WORD, temperature_raw),
    SR_ROW_INPUT("SETPOINT_RAW", "%IW11", WORD, setpoint_raw),
    SR_ROW_INPUT("THERMOSTAT_OK", "%IX0.0", BOOL, thermostat_ok),
    SR_ROW_INPUT("ENABLE", "%IX0.1", BOOL, enable),
    SR_ROW_OUTPUT("HEAT", "%QX0.0", BOOL, heat),
    SR_ROW_OUTPUT("ALARM", "%QX0.1", BOOL, alarm),
    SR_ROW_OUTPUT("POWER", "%QW10", UINT, power),
    SR_ROW("TEMPERATURE", REAL, temperature),
    SR_ROW("SETPOINT", REAL, setpoint),
    SR_ROW("DUTY", REAL, duty),
    SR_ROW("INTEGRAL", REAL, integral),
    SR_ROW("KP", REAL, kp),
    SR_ROW("TN", REAL, tn_s),
    SR_ROW("WINDOW", TIME, window),
    SR_ROW("WARM_FROM", REAL, warm_from),
    SR_ROW("FAULT.SENSOR", BOOL, sensor_fault),
    SR_ROW("FAULT.THERMOSTAT", BOOL, thermostat_fault),
    SR_ROW("FAULT.LOOP", BOOL, loop_fault),
    SR_ROW("TRIPPED", BOOL, tripped),
    SR_ROWS("SENSOR_DELAY", TON, sensor_delay),
    SR_ROWS("LOOP_DELAY", TON, loop_delay),
    SR_ROWS("SWITCHED_ON", R_TRIG, switched_on),
};

SR_PLC_IMAGE("HEATER", tasks, variables, NULL, NULL);
