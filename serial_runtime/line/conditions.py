# SPDX-License-Identifier: MIT
"""What can be wrong with one direction of a line, and what was counted there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from serial_runtime.damage import KINDS, Rates
from serial_runtime.errors import ConfigError
from serial_runtime.named_tuple import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Conditions(Rates):
    """One direction of a line; the default is a faultless one. Faults per byte are in ``Rates``.

    Raises ConfigError for a value that makes no sense.
    """

    latency_s: float = 0.0
    """Propagation: every byte arrives this much later."""
    turnaround_s: float = 0.0
    """Latency timer of a USB adapter at the receiving end; 0: there is none. See ``adapter``."""
    overrun_bytes: int = 0
    """Bytes the receiver keeps for its reader; more are dropped. 0: a full receiver pushes back."""
    breaks_per_s: float = 0.0
    """A break: the byte under way is lost, a zero byte arrives."""
    stalls_per_s: float = 0.0
    """Nothing moves for ``stall_s``, then it goes on."""
    stall_s: float = 0.1
    disconnects_per_s: float = 0.0
    """The receiving end is pulled out, and put in again after ``disconnect_s``."""
    disconnect_s: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting in SETTINGS.values():
            value = getattr(self, setting.field)
            if not 0 <= value < math.inf:
                raise ConfigError(f"{setting.field}: {value} makes no sense; give 0 or more")


class Setting(NamedTuple):
    """A field of :class:`Conditions` as the command line has it, ``scale`` units to one of ours."""

    field: str
    scale: int
    help: str


SETTINGS = {
    "ber": Setting("ber", 1, "bit errors, per bit (1e-6)"),
    "burst": Setting("burst", 1, "stretches of random bytes, per byte"),
    "burst-bytes": Setting("burst_bytes", 1, "their mean length (default: 32)"),
    "drop": Setting("drop", 1, "bytes lost, per byte"),
    "insert": Setting("insert", 1, "random bytes inserted, per byte"),
    "duplicate": Setting("duplicate", 1, "bytes doubled, per byte"),
    "breaks": Setting("breaks_per_s", 1, "breaks per second: a zero byte instead of one of ours"),
    "stalls": Setting("stalls_per_s", 1, "stalls per second: nothing moves for a while"),
    "stall-ms": Setting("stall_s", 1000, "how long a stall is (default: 100)"),
    "disconnects": Setting(
        "disconnects_per_s", 1, "per second: the receiving end is pulled out and put in again"
    ),
    "disconnect-ms": Setting("disconnect_s", 1000, "how long it is out (default: 500)"),
    "latency-ms": Setting("latency_s", 1000, "every byte arrives so much later"),
    "turnaround-ms": Setting(
        "turnaround_s", 1000, "latency timer of a USB adapter at the receiving end (real: 16 or 1)"
    ),
    "overrun": Setting(
        "overrun_bytes", 1, "drop what the reader has not taken beyond so many bytes"
    ),
}


def setting_value(key: str, text: str) -> float:
    """Read the value of a setting, in the unit of its field. Raises ConfigError."""
    if key not in SETTINGS:
        raise ConfigError(f"there is no setting {key!r}; there are {', '.join(SETTINGS)}")
    setting = SETTINGS[key]
    whole = isinstance(getattr(Conditions, setting.field), int)
    try:
        value = int(text) if whole else float(text) / setting.scale
        Conditions(**{setting.field: value})  # type: ignore[arg-type]
    except ValueError:
        raise ConfigError(f"{key}: {text!r} is no{' whole' * whole} number") from None
    except ConfigError:
        limit = "from 0 to 1" if key in KINDS else "of at least 0"
        raise ConfigError(f"{key}: {text} makes no sense; give a number {limit}") from None
    return value


def changed(conditions: Conditions, words: Iterable[str]) -> Conditions:
    """``conditions`` with the settings ``KEY=VALUE`` changed. Raises ConfigError."""
    values = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is no KEY=VALUE")
        values[SETTINGS[key].field if key in SETTINGS else key] = setting_value(key, text)
    return replace(conditions, **values)  # type: ignore[arg-type]


@dataclass
class Counters:
    """What happened in one direction since the cable was laid."""

    carried: int = 0
    """Bytes the line has carried."""
    delivered: int = 0
    """Bytes given to the receiver's tty."""
    lost: int = 0
    """Bytes that arrived where nobody had the port open, or were under way at a disconnect."""
    overrun: int = 0
    """Bytes dropped since the reader was slow."""
    garbled: int = 0
    """Bytes sent at another rate than the receiver's (a cable that follows the ports)."""
    bit_errors: int = 0
    bursts: int = 0
    dropped: int = 0
    inserted: int = 0
    duplicated: int = 0
    breaks: int = 0
    stalls: int = 0
    disconnects: int = 0

    @property
    def faults(self) -> int:
        """All of them in sum; a bit error, a burst, a dropped byte ... count one each."""
        happened: dict[str, int] = asdict(self)
        return sum(happened.values()) - self.carried - self.delivered - self.lost
