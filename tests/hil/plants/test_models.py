# SPDX-License-Identifier: MIT
"""Properties of the plant models: what is conserved, what rises, what a step's length changes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plants.conveyor import ConveyorPlant
from hil.plants.heater import HeaterPlant
from hil.plants.model import Model, Value
from hil.plants.tank import TankPlant

MODELS = (TankPlant, HeaterPlant, ConveyorPlant)
STEPS = st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60)


def off(model: Model) -> dict[str, Value]:
    return {channel.name: False if channel.digital else 0 for channel in model.outputs}


def run(model: Model, seconds: float, dt_s: float, outputs: Mapping[str, Value]) -> None:
    for _ in range(round(seconds / dt_s)):
        model.step(dt_s, {**off(model), **outputs})


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_says_what_its_channels_say(kind: type[Model]) -> None:
    model = kind()
    inputs = model.step(0.01, off(model))
    assert inputs == model.read()
    assert set(inputs) == {channel.name for channel in model.inputs}
    addresses = [channel.address for channel in (*model.inputs, *model.outputs)]
    assert len(set(addresses)) == len(addresses)
    for channel in model.inputs:
        assert isinstance(inputs[channel.name], bool) == channel.digital, channel.name
        assert 0 <= inputs[channel.name] <= 0xFFFF
    assert not set(model.state()) & {*inputs, *off(model)}, "one name for one signal"


@pytest.mark.parametrize("kind", MODELS)
@given(choices=st.lists(st.tuples(st.integers(0, 2**16), st.floats(0.001, 0.3)), max_size=30))
def test_the_same_steps_give_the_same(kind: type[Model], choices: list[tuple[int, float]]) -> None:
    one, other = kind(), kind()
    for bits, dt_s in choices:
        outputs: dict[str, Value] = {}
        for n, channel in enumerate(one.outputs):
            outputs[channel.name] = bool(bits >> n & 1) if channel.digital else bits % 10001
        assert one.step(dt_s, outputs) == other.step(dt_s, outputs)
    assert one.state() == other.state()


@given(steps=STEPS, run1=st.booleans(), inlet=st.booleans())
def test_the_tank_keeps_its_water(steps: list[float], run1: bool, inlet: bool) -> None:
    tank = TankPlant(1.0)
    for dt_s in steps:
        before_m = tank.state()["level_m"]
        tank.step(dt_s, {**off(tank), "inlet": inlet, "pump1_run": run1, "pump1_speed": 5000})
        state = tank.state()
        gained_l = (float(state["level_m"]) - float(before_m)) * 1000 * 0.06
        if 0 < state["level_m"] < 2.0:
            flow_lps = float(state["inflow_lps"]) - float(state["outflow_lps"])
            assert gained_l == pytest.approx(flow_lps * dt_s, abs=0.2 * dt_s + 1e-9)
        assert 0 <= state["level_m"] <= 2.0


def test_more_power_is_warmer_and_the_end_is_what_physics_say() -> None:
    ends = []
    for power in (0, 2500, 5000, 7000):
        heater = HeaterPlant()
        run(heater, 1500, 0.5, {"power": power})
        ends.append(float(heater.state()["temperature_c"]))
        assert ends[-1] == pytest.approx(20 + 120 * power / 10000, abs=0.01)
    assert ends == sorted(ends)


@given(steps=STEPS, power=st.integers(0, 6000))
def test_the_heaters_steps_are_exact(steps: list[float], power: int) -> None:
    fine, coarse = HeaterPlant(), HeaterPlant()
    for dt_s in steps:
        fine.step(dt_s, {**off(fine), "power": power})
    coarse.step(sum(steps), {**off(coarse), "power": power})
    assert fine.state()["temperature_c"] == pytest.approx(coarse.state()["temperature_c"], abs=1e-6)
    assert fine.state()["full_power_s"] == pytest.approx(coarse.state()["full_power_s"])


def test_the_sensor_sees_what_was_four_seconds_ago() -> None:
    heater = HeaterPlant()
    past = []
    for _ in range(1000):
        heater.step(0.1, {**off(heater), "power": 5000})
        past.append(float(heater.state()["temperature_c"]))
        if len(past) > 40:
            assert heater.state()["sensor_c"] == pytest.approx(past[-41], abs=1e-9)


def test_the_safety_thermostat_opens_and_closes_by_itself() -> None:
    heater = HeaterPlant()
    heater.disturbances["stuck_on"] = True
    hottest = 0.0
    opened = closed_again = False
    for _ in range(4000):
        ok = heater.step(0.1, off(heater))["thermostat_ok"]
        hottest = max(hottest, float(heater.state()["temperature_c"]))
        opened = opened or not ok
        closed_again = closed_again or (opened and bool(ok))
    assert closed_again
    assert hottest < 110.2


@given(
    fed=st.lists(st.booleans(), min_size=1, max_size=12),
    strokes=st.lists(st.booleans(), min_size=1, max_size=40),
    dt_s=st.floats(0.005, 1.0),
)
def test_no_part_is_lost(fed: list[bool], strokes: list[bool], dt_s: float) -> None:
    belt = ConveyorPlant()
    for n, pusher in enumerate(strokes):
        if n < len(fed):
            belt.disturbances["fed_tall" if fed[n] else "fed"] = fed[: n + 1].count(fed[n])
        belt.step(dt_s, {"motor": True, "pusher": pusher, "alarm": False})
        state = belt.state()
        out = sum(belt.delivered.values()) + sum(belt.rejected.values())
        assert state["fed_total"] == int(state["on_belt"]) + out
    assert belt.delivered[True] + belt.rejected[True] <= sum(fed)


@pytest.mark.parametrize("dt_s", [0.001, 0.01, 0.1, 1.0])
def test_where_a_part_is_does_not_hang_on_the_step(dt_s: float) -> None:
    belt = ConveyorPlant()
    belt.disturbances["fed"] = 1
    run(belt, 3.0, dt_s, {"motor": True})
    # 3 s at 0.3 m/s, less what the motor needs to spin up.
    assert belt.parts[0].at_m == pytest.approx(0.9 - 0.3 * 0.2, abs=1e-3)
    assert belt.state()["belt_m"] == pytest.approx(belt.parts[0].at_m)


def test_the_eyes_see_a_part_and_its_height() -> None:
    belt = ConveyorPlant()
    belt.disturbances["fed_tall"] = 1
    seen = [belt.step(0.01, {"motor": True, "pusher": False, "alarm": False}) for _ in range(300)]
    both = [(one["eye_low"], one["eye_high"]) for one in seen]
    assert set(both) == {(False, False), (True, True)}
    assert 30 <= both.count((True, True)) <= 36  # 0.1 m at 0.3 m/s
    belt.disturbances["jammed"] = True
    belt.disturbances["fed"] = 1
    for _ in range(1000):
        inputs = belt.step(0.01, {"motor": True, "pusher": False, "alarm": False})
    assert inputs["eye_low"]
    assert not inputs["eye_high"]
