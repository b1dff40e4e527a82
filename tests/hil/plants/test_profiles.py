# SPDX-License-Identifier: MIT
"""Profiles: what is read, and that every mistake is named with its line and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.plants.heater import HeaterPlant
from hil.plants.model import PlantError, Value
from hil.plants.profile import Event, load
from hil.plants.stimulus import Stimulus

PERIOD_NS = 10_000_000
PROFILES = Path(__file__).parents[3] / "hil" / "scenarios" / "profiles"


def write(folder: Path, text: str, name: str = "p.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_csv_and_toml_say_the_same(tmp_path: Path) -> None:
    toml = load(
        write(
            tmp_path,
            '[[at]]\ntime_s = 1\nchannel = "loss"\nvalue = 2.5\nramp_s = 3\n'
            '[[at]]\ntime_s = 2\nchannel = "temperature_raw"\n'
            'fault = "noise"\nvalue = 9\nseed = 4\n'
            '[[at]]\ntime_s = 3\nchannel = "plc:KP"\nvalue = "release"\n'
            '[[at]]\ntime_s = 4\nchannel = "enable"\nvalue = false\n',
        )
    )
    text = (
        "time_s, channel, value, ramp_s, fault, seed\n1,loss,2.5,3,,\n# a note\n\n"
        "2,temperature_raw,9,,noise,4\n3,plc:KP,release,,,\n4,enable,false,,,\n"
    )
    table = load(write(tmp_path, text, "p.csv"))
    assert [e._replace(where="") for e in toml.events] == [
        e._replace(where="") for e in table.events
    ]
    assert [e.where.rpartition(":")[2] for e in toml.events] == ["1", "6", "12", "16"]
    assert [e.where.rpartition(":")[2] for e in table.events] == ["2", "5", "6", "7"]
    assert toml.seconds == 14.0


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_rigs_own_profiles_are_good(path: Path) -> None:
    profile = load(path)
    assert profile.events
    assert all(limit.requirement.startswith("REQ-") for limit in profile.limits)


LIMIT = '[[limit]]\nrequirement = "R"\nsignal = "x"\n'


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('\n[[at]]\ntime_s = 1\nchanel = "x"', [":2", "'chanel'", "channel"]),
        ("[[at]]\ntime_s = 1\nvalue = 1", [":1", "channel is missing"]),
        ('[[at]]\nchannel = "loss"\nvalue = 1', [":1", "loss", "time_s is missing"]),
        ('[[at]]\ntime_s = -1\nchannel = "loss"\nvalue = 1', ["time_s = -1", "0 or more"]),
        ('[[at]]\ntime_s = 1\nchannel = "loss"', ["loss", "value is missing"]),
        ('[[at]]\ntime_s = 1\nchannel = "loss"\nvalue = "big"', ["loss", "'big'", "a number"]),
        ('[[at]]\ntime_s = 1\nchannel = "x"\nfault = "stuk"', ["'stuk'", "stuck"]),
        ('[[at]]\ntime_s = 1\nchannel = "e"\nvalue = true\nramp_s = 1', ["only numbers"]),
        ("at = 1", ["[[at]]"]),
        ("limits = 1", ["'limits'", "limit"]),
        ("watch = 'x'", ["watch", "a list"]),
        ("seconds = [", ["p.toml"]),
        (LIMIT, [":1", "min", "settles", "becomes"]),
        (LIMIT + "min = 1\nband = 2", ["'band'", "min"]),
        (LIMIT + "settles = 1\nband = 2", ["band and within_s"]),
        (LIMIT + "becomes = 1\nwhen = 'y'", ["within_ms"]),
        (LIMIT + "max = 'high'", ["max = 'high'"]),
        ("[[limit]]\nsignal = 'x'\nmax = 1", ["requirement is missing"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: list[str]) -> None:
    with pytest.raises(PlantError) as caught:
        load(write(tmp_path, text))
    for word in [str(tmp_path), *named]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("time,channel\n", [":1", "'time'", "time_s"]),
        ("time_s,channel,value\n1,loss,much\n", [":2", "'much'"]),
        ("time_s,channel,value\n1,loss,2,3\n", [":2", "more cells"]),
        ("time_s,channel,value\n1,loss,release\n", [":2", "'release'"]),
    ],
)
def test_a_mistake_in_a_csv_is_named(tmp_path: Path, text: str, named: list[str]) -> None:
    with pytest.raises(PlantError) as caught:
        load(write(tmp_path, text, "p.csv"))
    for word in named:
        assert word in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PlantError, match="cannot be read"):
        load(tmp_path / "none.toml")
    with pytest.raises(PlantError, match=r"a \.toml or a \.csv"):
        load(write(tmp_path, "", "p.json"))


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (Event(1, "los", 1), "did you mean loss"),
        (Event(1, "temperature_raw", 1), "no disturbance of the heater"),
        (Event(1, "loss", fault="stuck"), "no sensor of the heater"),
        (Event(1, "enable", 1, ramp_s=2), "has no ramp"),
        (Event(1, "plc:KP", 1, ramp_s=2), "forced at once"),
    ],
)
def test_a_wrong_channel_is_named_before_the_run(event: Event, named: str) -> None:
    with pytest.raises(PlantError, match=named):
        Stimulus((event._replace(where="f:9"),), HeaterPlant(), PERIOD_NS)


def values(events: tuple[Event, ...], channel: str, ticks: int) -> list[Value]:
    heater = HeaterPlant()
    stimulus = Stimulus(events, heater, PERIOD_NS)
    found = []
    for tick in range(ticks):
        stimulus.before(tick)
        inputs = stimulus.spoil(heater.read())
        found.append({**heater.disturbances, **inputs}[channel])
        heater.step(0.01, {"heat": True, "power": 0, "alarm": False})
    return found


def test_events_come_at_their_tick() -> None:
    steps = values((Event(0.03, "loss", 2.0), Event(0.051, "loss", 3.0)), "loss", 8)
    assert steps == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]
    ramp = values((Event(0.02, "loss", 2.0, ramp_s=0.04),), "loss", 8)
    assert ramp == pytest.approx([1, 1, 1, 1.25, 1.5, 1.75, 2, 2])
    # The later in the file wins, and ends a ramp.
    both = (Event(0.0, "loss", 9.0, ramp_s=1.0), Event(0.01, "loss", 5), Event(0.01, "loss", 4))
    assert values(both, "loss", 3) == [1.0, 4, 4]


def test_faults_of_sensors() -> None:
    raw = "temperature_raw"
    stuck = values((Event(5, raw, fault="stuck"), Event(6, raw, fault="none")), raw, 700)
    assert len(set(stuck[500:600])) == 1
    assert stuck[600] > stuck[599]
    assert values((Event(0.01, raw, fault="break"),), raw, 3)[1:] == [0, 0]
    assert values((Event(0.01, "enable", fault="break"),), "enable", 2) == [True, False]
    noise = (Event(0, raw, 50, fault="noise", seed=3),)
    noisy = values(noise, raw, 200)
    assert noisy == values(noise, raw, 200)
    assert noisy != values((noise[0]._replace(seed=4),), raw, 200)
    assert len(set(noisy)) > 20
    flicker = values((Event(0, "enable", 0.5, fault="noise"),), "enable", 100)
    assert 20 < flicker.count(False) < 80


def test_variables_of_the_plc_are_forced() -> None:
    said: list[tuple[str, Value | None]] = []
    events = (Event(0.01, "plc:KP", 2.5), Event(0.02, "plc:KP", release=True))
    stimulus = Stimulus(
        events, HeaterPlant(), PERIOD_NS, lambda path, value: said.append((path, value))
    )
    for tick in range(4):
        stimulus.before(tick)
    assert said == [("KP", 2.5), ("KP", None)]
    assert [tick for tick, _ in stimulus.happened] == [1, 2]
