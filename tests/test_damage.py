# SPDX-License-Identifier: MIT
"""The fault engine: where faults strike, how often, and the same ones for the same seed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serial_runtime.damage import KINDS, Damage, Rates
from serial_runtime.errors import ConfigError

CLEAN = random.Random(1).randbytes(20_000)
BAD = Rates(ber=1e-3, burst=1e-3, burst_bytes=5, drop=1e-2, insert=1e-2, duplicate=1e-2)


def bad(seed: int, rates: Rates = BAD) -> Damage:
    damage = Damage(seed)
    damage.set_rates(rates)
    return damage


def test_without_rates_nothing_happens() -> None:
    damage = Damage(1)
    assert damage.apply(CLEAN) == CLEAN
    assert damage.hits() == dict.fromkeys(KINDS, 0)


@given(st.lists(st.integers(1, 700), min_size=1))
def test_the_pieces_do_not_matter(pieces: list[int]) -> None:
    whole, parts, got = bad(5), bad(5), b""
    for piece in pieces:
        got += parts.apply(CLEAN[:piece])
    assert got == whole.apply(b"".join(CLEAN[:piece] for piece in pieces))
    assert parts.hits() == whole.hits()


def test_the_same_seed_meets_the_same_faults() -> None:
    assert bad(7).apply(CLEAN) == bad(7).apply(CLEAN) != bad(8).apply(CLEAN)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_strikes_about_as_often_as_its_rate_says(kind: str) -> None:
    rate = 1e-3 if kind == "ber" else 1e-2
    damage = bad(3, Rates(**{kind: rate}))  # type: ignore[arg-type]
    for _ in range(5):
        damage.apply(CLEAN)
    chances = 5 * len(CLEAN) * (8 if kind == "ber" else 1)
    assert damage.hits()[kind] == pytest.approx(chances * rate, rel=0.2)
    assert sum(damage.hits().values()) == damage.hits()[kind]


def test_bit_errors_change_as_many_bits_as_they_say() -> None:
    damage = bad(2, Rates(ber=1e-3))
    got = damage.apply(CLEAN)
    wrong = sum((a ^ b).bit_count() for a, b in zip(CLEAN, got, strict=True))
    assert wrong == damage.hits()["ber"] > 100


def test_dropped_inserted_and_duplicated_bytes_add_up() -> None:
    damage = bad(2, Rates(drop=1e-2, insert=1e-2, duplicate=2e-2))
    got, hits = damage.apply(CLEAN), damage.hits()
    both = len(CLEAN) + hits["insert"] + hits["duplicate"] - hits["drop"]
    # A byte that is dropped and duplicated does not arrive.
    assert both - 20 <= len(got) <= both


def test_a_burst_spoils_a_stretch_and_no_more() -> None:
    damage = bad(4, Rates(burst=1e-4, burst_bytes=50))
    got = damage.apply(CLEAN)
    wrong = [at for at, (a, b) in enumerate(zip(CLEAN, got, strict=True)) if a != b]
    bursts = damage.hits()["burst"]
    assert 0 < bursts < 10
    assert bursts < len(wrong) < 100 * bursts


def test_rates_of_one() -> None:
    assert bad(1, Rates(ber=1)).apply(b"\x00\x0f") == b"\xff\xf0"
    assert bad(1, Rates(drop=1)).apply(b"abc") == b""
    assert bad(1, Rates(duplicate=1)).apply(b"abc") == b"aabbcc"


def test_rates_change_while_it_runs() -> None:
    damage = bad(1, Rates(drop=1))
    assert damage.apply(b"abc") == b""
    damage.set_rates(Rates())
    assert damage.apply(b"def") == b"def"
    damage.set_rates(Rates(ber=1))
    assert damage.apply(b"\0") == b"\xff"


def test_a_rate_that_stays_keeps_its_place() -> None:
    one, other = bad(9, Rates(drop=1e-3)), bad(9, Rates(drop=1e-3))
    begin = one.apply(CLEAN[:100]), other.apply(CLEAN[:100])
    other.set_rates(Rates(drop=1e-3, burst_bytes=3))
    assert begin[0] + one.apply(CLEAN) == begin[1] + other.apply(CLEAN)
    assert one.hits()["drop"] > 0


def test_exact_faults_among_random_ones() -> None:
    damage = bad(1, Rates(drop=1e-9))
    damage.flip(3, 0x20)
    damage.insert(3, b"--")
    damage.drop(5, 2)
    assert damage.apply(b"abc") + damage.apply(b"defgh") == b"abc--Deh"
    assert damage.hits() == {"ber": 1, "burst": 0, "drop": 2, "insert": 2, "duplicate": 0}


def test_faults_pass_while_muted() -> None:
    damage = Damage()
    damage.drop(1)
    damage.muted = True
    assert damage.apply(b"ab") == b""
    damage.muted = False
    damage.flip(0)
    assert damage.apply(b"ab") == b"`b"


def test_a_place_in_the_past() -> None:
    with pytest.raises(ConfigError, match="byte -1 would be in the past"):
        Damage().flip(-1)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_probability(kind: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{kind}: {value} is no probability"):
        Rates(**{kind: value})  # type: ignore[arg-type]


def test_a_burst_has_a_length() -> None:
    with pytest.raises(ConfigError, match="give at least 1"):
        Rates(burst_bytes=0)
