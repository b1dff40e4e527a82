# SPDX-License-Identifier: MIT
"""A plant's control program in C against plc_abi.h, drawn by a generator with a fixed seed.

It stands for the programs that people load: sixteen kinds of function blocks (units of a
plant), none like another, each with its own variables, its own statements over them and its own
messages, and one to four instances of each, all in the variable table. The statements are what
PLC programs consist of: scaling, interlocks, timers, counters, step sequences, ramps, loops,
alarms with texts. Names and numbers are drawn from word lists and ranges; nothing is there to be
compressed well, or badly.

`program` gives the source as it is; its arguments make the two edits of an ordinary day.
"""

from __future__ import annotations

import random


def _words(text: str) -> list[str]:
    return text.split()


_AREAS = _words("BOILER MIXER DRYER INTAKE FILTER COOLING PACKING SILO CIP UTILITY REACTOR STORE")
_THINGS = _words(
    "VALVE PUMP FAN HEATER CONVEYOR SCREW HOPPER AGITATOR DAMPER BURNER CHILLER COMPRESSOR GATE "
    "LIFT SCALE DOSER CENTRIFUGE MILL SIEVE FEEDER TANK BLOWER PRESS ROBOT LABELLER WASHER OVEN "
    "EXTRUDER CUTTER WRAPPER STACKER CRANE VACUUM STERILIZER EXCHANGER DEAERATOR SOFTENER TURBINE"
)
_QUALITIES = _words(
    "LEVEL FLOW TEMP PRESSURE SPEED TORQUE CURRENT WEIGHT POSITION HUMIDITY PH DENSITY TENSION "
    "VIBRATION DEMAND RATE OFFSET GAIN LOAD RATIO"
)
_STATES = _words(
    "READY RUNNING BLOCKED OPEN CLOSED ENABLED MANUAL REMOTE LOCAL LOCKED TRIPPED EMPTY FULL HOT "
    "COLD DIRTY HOMED CLAMPED PURGED ACKED"
)
_COUNTS = _words("STARTS CYCLES PARTS FAULTS BATCHES SHIFTS STROKES TURNS STEP RECIPE LOT INDEX")
_VERBS = (
    "wait for",
    "restart after",
    "lubricate before",
    "do not open during",
    "lost contact with",
    "too slow to follow",
    "blocked by",
    "overheated near",
    "no feedback from",
    "limit exceeded at",
    "call maintenance for",
    "drained through",
)

_REALS = ("REAL", "LREAL")
_INTEGERS = ("INT", "DINT", "UINT", "UDINT", "USINT", "WORD", "LINT")


class _Block:
    """One kind of function block: variables by sort, and the lines of its body."""

    def __init__(self, draw: random.Random, name: str, number: int) -> None:
        self.name = name
        self.type = f"{name.lower()}_fb"
        self.number = number
        self.variables: list[tuple[str, str, str]] = []  # name, IEC type, initial value
        self._draw = draw
        self.reals = self._declare(_QUALITIES, 4, 9, _REALS)
        self.bools = self._declare(_STATES, 5, 11, ("BOOL",))
        self.integers = self._declare(_COUNTS, 3, 6, _INTEGERS)
        self.timers = [f"{state}_TIME" for state in draw.sample(_STATES, draw.randint(1, 3))]
        for timer in self.timers:
            self.variables.append((timer, "TIME", "0"))
        self.body = [self._statement(depth=0) for _ in range(draw.randint(16, 34))]

    def _declare(
        self, words: list[str], least: int, most: int, types: tuple[str, ...]
    ) -> list[str]:
        names = self._draw.sample(words, self._draw.randint(least, most))
        for name in names:
            kind = self._draw.choice(types)
            value = "0"
            if self._draw.random() < 0.4:
                value = "1" if kind == "BOOL" else str(self._draw.randint(1, 120))
            self.variables.append((name, kind, value))
        return names

    def _real(self) -> str:
        draw = self._draw
        form = draw.randrange(5)
        if form == 0:
            return f"{draw.uniform(-50, 400):.3f}f"
        if form == 1:
            return f"fb->{draw.choice(self.reals)}.value * {draw.uniform(0.01, 12):.4f}f"
        if form == 2:
            return f"fb->{draw.choice(self.reals)}.value - fb->{draw.choice(self.reals)}.value"
        if form == 3:
            return f"(float)fb->{draw.choice(self.integers)}.value / {draw.randint(2, 900)}.0f"
        return f"fb->{draw.choice(self.reals)}.value"

    def _condition(self) -> str:
        draw = self._draw
        form = draw.randrange(5)
        if form == 0:
            return f"fb->{draw.choice(self.bools)}.value"
        if form == 1:
            return f"!fb->{draw.choice(self.bools)}.value"
        if form == 2:
            sign = draw.choice(("<", ">", "<=", ">="))
            return f"fb->{draw.choice(self.reals)}.value {sign} {draw.uniform(-20, 300):.2f}"
        if form == 3:
            integer = draw.choice(self.integers)
            return f"fb->{integer}.value == {draw.randint(0, 100)}"
        both = draw.sample(self.bools, 2)
        return f"fb->{both[0]}.value {draw.choice(('&&', '||'))} !fb->{both[1]}.value"

    def _statement(self, depth: int) -> str:
        draw = self._draw
        kinds = ("scale", "logic", "count", "timer", "filter", "if", "case", "alarm", "ramp")
        weights = (5, 6, 4, 3, 3, 4 * (depth < 2), 1 * (depth < 1), 2, 2)
        kind = draw.choices(kinds, weights)[0]
        real, state = draw.choice(self.reals), draw.choice(self.bools)
        integer, timer = draw.choice(self.integers), draw.choice(self.timers)
        if kind == "scale":
            return f"SR_SET(fb->{real}, {self._real()} {draw.choice('+-*')} {self._real()});"
        if kind == "logic":
            return f"SR_SET(fb->{state}, ({self._condition()}) && ({self._condition()}));"
        if kind == "count":
            step = draw.randint(1, 9)
            modulo = draw.choice((10, 24, 60, 100, 120))
            return (
                f"if ({self._condition()}) SR_SET(fb->{integer}, "
                f"(fb->{integer}.value + {step}) % {modulo});"
            )
        if kind == "timer":
            limit_ms = draw.randint(20, 60_000)
            return (
                f"SR_SET(fb->{timer}, {self._condition()} ? fb->{timer}.value + dt : 0); "
                f"SR_SET(fb->{state}, fb->{timer}.value > INT64_C({limit_ms * 1_000_000}));"
            )
        if kind == "filter":
            part = draw.uniform(0.01, 0.6)
            return (
                f"SR_SET(fb->{real}, fb->{real}.value + ({self._real()} - fb->{real}.value)"
                f" * {part:.3f}f);"
            )
        if kind == "ramp":
            return f"SR_SET(fb->{real}, ramp({self._real()}, {self._real()}, dt));"
        if kind == "alarm":
            text = f"{self.name.lower()}: {draw.choice(_VERBS)} {draw.choice(_THINGS).lower()}"
            return (
                f"if (risen({self._condition()}, &fb->alarm[{draw.randrange(4)}])) "
                f'SR_LOG(SR_LOG_WARNING, "{text}");'
            )
        inner = [self._statement(depth + 1) for _ in range(draw.randint(1, 3))]
        if kind == "if":
            text = f"if ({self._condition()}) {{ {' '.join(inner)} }}"
            if draw.random() < 0.5:
                text += f" else {{ {self._statement(depth + 1)} }}"
            return text
        steps = "".join(
            f" case {number}: {self._statement(2)} break;" for number in range(draw.randint(3, 7))
        )
        return f"switch (fb->{integer}.value) {{{steps} default: break; }}"

    def source(self) -> str:
        fields = "\n".join(f"    sr_{kind.lower()} {name};" for name, kind, _ in self.variables)
        lines = "\n".join(f"    {line}" for line in self.body)
        return (
            f"typedef struct {{\n{fields}\n    uint8_t alarm[4];\n}} {self.type};\n\n"
            f"static void run_{self.type}({self.type} *fb, int64_t dt)\n{{\n{lines}\n}}\n"
        )


_HEAD = """\
#include "plc_abi.h"

static float ramp(float from, float to, int64_t dt)
{
    float step = (float)dt * 2e-8f;
    return to > from + step ? from + step : to < from - step ? from - step : to;
}

static int risen(int now, uint8_t *last)
{
    int edge = now && !*last;
    *last = (uint8_t)now;
    return edge;
}
"""


def program(*, edited: bool = False, added: bool = False, blocks: int = 16, seed: int = 3) -> str:
    """The C source. `edited`: a number in one statement differs. `added`: the first block has a
    variable more, in front, with a row in the table and a statement, so that all data moves."""
    draw = random.Random(seed)
    kinds = [
        _Block(draw, f"{draw.choice(_AREAS)}_{draw.choice(_THINGS)}_{number}", number)
        for number in range(blocks)
    ]
    instances = [
        (f"{kind.name.lower()}_{index}", kind)
        for kind in kinds
        for index in range(draw.randint(1, 4))
    ]
    if edited:
        real = kinds[blocks // 2].reals[0]
        kinds[blocks // 2].body[3] = f"SR_SET(fb->{real}, fb->{real}.value * 1.75f);"
    if added:
        kinds[0].variables.insert(0, ("HOLD_OFF", "UINT", "25"))
        kinds[0].body.insert(
            2, "SR_SET(fb->HOLD_OFF, fb->HOLD_OFF.value > 0 ? fb->HOLD_OFF.value - 1 : 0);"
        )
    parts = [_HEAD, *(kind.source() for kind in kinds)]
    for name, kind in instances:
        values = ", ".join(
            f".{v} = {{{value}, 0}}" for v, _, value in kind.variables if value != "0"
        )
        parts.append(f"static {kind.type} {name} = {{{values}}};")
    for task in range(3):
        calls = "\n".join(
            f"    run_{kind.type}(&{name}, cycle->interval_ns);"
            for name, kind in instances
            if kind.number % 3 == task
        )
        parts.append(f"static void task_{task}(const sr_cycle *cycle)\n{{\n{calls}\n}}\n")
    parts.append("static const sr_task tasks[] = {")
    for task, interval_ms in enumerate((10, 50, 200)):
        parts.append(
            f'    {{.name = "TASK_{task}", .interval_ns = INT64_C({interval_ms * 1_000_000}), '
            f".priority = {task}, .run = task_{task}}},"
        )
    parts.append("};\nstatic const sr_variable variables[] = {")
    for name, kind in instances:
        path = name.upper().replace("_", ".", 1)
        parts += [
            f'    SR_ROW("{path}.{variable}", {iec}, {name}.{variable}),'
            for variable, iec, _ in kind.variables
        ]
    parts.append('};\nSR_PLC_IMAGE("PLANT", tasks, variables, NULL, NULL);\n')
    return "\n".join(parts)
