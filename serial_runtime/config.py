# SPDX-License-Identifier: MIT
"""The board profile: its values, immutable, and what is accepted. `profile_file` reads it.

Every wrong key or value is refused with a sentence that names it and what would be accepted;
nothing is silently ignored or rounded. The table `KEYS` below is the list of all keys.

    [serial]
    port = "/dev/ttyS1"
    baud = 115200
    [rt]
    priority = 80
    cpu = 1
"""

from __future__ import annotations

from serial_runtime.errors import ConfigError
from serial_runtime.named_tuple import NamedTuple
from serial_runtime.profile_values import boolean as _boolean
from serial_runtime.profile_values import choice as _choice
from serial_runtime.profile_values import integer as _integer
from serial_runtime.profile_values import one_of as _one_of
from serial_runtime.profile_values import power_of_two as _power_of_two
from serial_runtime.profile_values import text as _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from serial_runtime.process_io.gpio import GpioTable
    from serial_runtime.process_io.modbus_profile import ModbusTable

LOWEST_BAUD, HIGHEST_BAUD = 300, 12_000_000  # which rates between exist, the transport knows
_DEFAULT_TCP_PORT = 3000  # of ERPC://host
_DEFAULT_TLS_PORT = 4000  # of ERPCS://host


class ListenAddress(NamedTuple):
    """Where a TCP server listens; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Serial(NamedTuple):
    """[serial]: the line to the host. An empty port: no serial line."""

    port: str = ""
    baud: int = 115200
    rs485: str = "off"  # "driver" or "adapter" switches the transmitter of an RS-485 line
    rs485_rts_high: bool = True  # while sending, when the driver does it
    rs485_turnaround_ms: int = 0


class Tcp(NamedTuple):
    """[tcp]: None: no TCP server."""

    listen: ListenAddress | None = None
    announce: bool = False  # to the IDEs of the network, by Zeroconf


class Tls(NamedTuple):
    """[tls]: clients that prove an identity. None: no TLS server."""

    listen: ListenAddress | None = None
    by: str = "runtime"  # or "stunnel", started by the runtime
    announce: bool = False


class Wamp(NamedTuple):
    """[wamp]: the realm to join, WAMP[S]://host[:port][/path]#realm. An empty router: no WAMP."""

    router: str = ""
    ca: str = ""  # file of the authorities that certify a WAMPS router; "": the system's


class Pyro(NamedTuple):
    """[pyro]: None: no Pyro daemon."""

    listen: ListenAddress | None = None


class RealTime(NamedTuple):
    """[rt]: how the scan cycle is scheduled."""

    priority: int = 80  # SCHED_FIFO or Xenomai, 1..98; 0: do not ask for real time
    cpu: int = -1  # -1: any
    tasks: str = "threads"  # those that want to have one; or "single": all run on the scan's
    task_cpu: int = -2  # of tasks with threads of their own; -2: as `cpu`, -1: any
    watchdog_ms: int = 0  # 0: the default rule, the longer of 100 ms and 10 periods
    watchdog_sensitivity: int = 1
    overrun: str = "skip"  # or "fault", after
    overrun_limit: int = 3  # overruns in a row
    trace_ring_kib: int = 1024
    cpu_latency_us: int = 0  # held in /dev/cpu_dma_latency while tasks run; -1: do not hold


class Io(NamedTuple):
    """[io]: the process image's driver, as `_driver` has it, and parts of it beside that one."""

    driver: str = "none"
    gpio: tuple[GpioTable, ...] = ()
    modbus: tuple[ModbusTable, ...] = ()


class Beremiz(NamedTuple):
    """[beremiz]: who runs the cycle of an object that the IDE built, see docs/beremiz.md."""

    cycle: str = "hosted"  # or "own"


class Store(NamedTuple):
    """[store]: where programs are kept, and the limits of what a client may fill."""

    dir: str = "serial-runtime.d"
    autostart: bool = False
    max_program_kib: int = 16384
    blob_quota_kib: int = 32768
    trace_buffer_kib: int = 4096


class Supervision(NamedTuple):
    """[supervision]: when a program that keeps crashing is not started any more."""

    crash_limit: int = 3  # in a row; 0: never
    stable_s: int = 60  # a run this long ends the row


class Retain(NamedTuple):
    """[retain]: where the values of retain variables are kept, and how often they are written."""

    enabled: bool = True
    dir: str = ""  # "": store.dir
    interval_s: int = 10


class Policy(NamedTuple):
    """[policy]: who may do what; see docs/security.md. Roles by the way in that a client takes."""

    serial: str = "program"
    tcp: str = "program"
    tls: str = "program"
    wamp: str = "program"
    pyro: str = "program"
    pairing: str = "serial"  # "serial", "window" or "off": when the board's secret is told
    programs: str = "any"  # or "signed"
    program_keys: str = ""  # file of the keys whose signatures count
    audit_kib: int = 256  # of the audit log on the disk; 0: none


class Python(NamedTuple):
    """[python]: whether programs may bring Python code, and how long it may take."""

    enabled: bool = False
    init_timeout_s: int = 10  # all runtime_*.py files and their init
    call_timeout_s: int = 10  # an evaluation, start, stop, cleanup, a change


class Profile(NamedTuple):
    """A whole board profile."""

    serial: Serial = Serial()
    tcp: Tcp = Tcp()
    tls: Tls = Tls()
    wamp: Wamp = Wamp()
    pyro: Pyro = Pyro()
    rt: RealTime = RealTime()
    io: Io = Io()
    beremiz: Beremiz = Beremiz()
    store: Store = Store()
    supervision: Supervision = Supervision()
    retain: Retain = Retain()
    policy: Policy = Policy()
    python: Python = Python()


def check_io(profile: Profile) -> None:
    """What the tables of process I/O must not have in common. ConfigError."""
    gpio, modbus = profile.io.gpio, profile.io.modbus
    if not (gpio or modbus):
        return
    from serial_runtime.process_io.tables import check_claims

    check_claims((*gpio, *modbus))
    if gpio:
        from serial_runtime.process_io.gpio import check_chips

        check_chips(gpio, profile.rt.priority)
    if modbus:
        from serial_runtime.process_io.modbus_profile import check_outputs

        check_outputs(modbus, profile.serial.port)


def override(profile: Profile, key: str, value: object) -> Profile:
    """The profile with one value replaced ("serial.baud", 9600): what command options do.

    The value is checked like one from a file. ConfigError.
    """
    section, _, name = key.partition(".")
    if section not in KEYS:
        raise ConfigError(f"unknown section {section!r}: {_choice('sections are', KEYS)}")
    if name not in KEYS[section]:
        raise ConfigError(f"unknown key {key!r}: {_choice('keys are', KEYS[section])}")
    checked = KEYS[section][name](key, value)
    part = getattr(profile, section)
    return profile._replace(**{section: part._replace(**{name: checked})})


def parse_listen(text: str, default_port: int = _DEFAULT_TCP_PORT) -> ListenAddress:
    """ "HOST:PORT", "HOST", ":PORT" (every interface), "[::1]:PORT". ConfigError."""
    host, colon, port = text.strip().rpartition(":")
    if text.strip().endswith("]") or not colon:
        host, port = text.strip(), str(default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"{text!r}: write an IPv6 address in brackets, [::1]:3000")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ConfigError(f"{text!r}: expected HOST:PORT with a port of 0 to 65535")
    if not host and not colon:
        raise ConfigError("an empty address: expected HOST:PORT, for instance 127.0.0.1:3000")
    if not colon and host.isdigit():
        raise ConfigError(f"{text!r} is a port alone: expected HOST:PORT, as in 127.0.0.1:{host}")
    return ListenAddress(host, int(port))


def _port(key: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ConfigError(
            f'{key} = {value!r}: expected a device such as "/dev/ttyS1", or "" for no serial line'
        )
    return value


_role = _one_of("view", "operate", "program")


def _listen(default_port: int) -> Callable[[str, object], ListenAddress]:
    def check(key: str, value: object) -> ListenAddress:
        if not isinstance(value, str):
            raise ConfigError(f'{key} = {value!r}: expected "HOST:PORT"')
        try:
            return parse_listen(value, default_port)
        except ConfigError as error:
            raise ConfigError(f"{key} = {error}") from error

    return check


def _tls_server(key: str, value: object) -> str:
    if value in ("runtime", "stunnel"):
        return str(value)
    raise ConfigError(f'{key} = {value!r}: expected "runtime" or "stunnel"')


def _driver(key: str, value: object) -> str:
    # The name becomes that of a shared memory segment: no slash, and short.
    if isinstance(value, str):
        kind, colon, name = value.partition(":")
        plain = name.replace("-", "").replace("_", "")
        good = len(name) <= 64 and plain.isascii() and plain.isalnum()
        if value == "none" or (kind in ("sim", "lockstep") and colon and good):
            return value
    raise ConfigError(
        f'{key} = {value!r}: expected "none", "sim:NAME" or "lockstep:NAME" '
        "(NAME: at most 64 letters, digits, '-' or '_')"
    )


def _gpio(key: str, value: object) -> tuple[GpioTable, ...]:
    from serial_runtime.process_io.gpio import read_gpio
    from serial_runtime.process_io.tables import list_of

    return list_of("a table for each chip", read_gpio)(key, value)


def _modbus(key: str, value: object) -> tuple[ModbusTable, ...]:
    from serial_runtime.process_io.modbus_profile import read_modbus
    from serial_runtime.process_io.tables import list_of

    return list_of("a table for each slave", read_modbus)(key, value)


KEYS: dict[str, dict[str, Callable[[str, object], Any]]] = {
    "serial": {
        "port": _port,
        "baud": _integer(LOWEST_BAUD, HIGHEST_BAUD, " baud"),
        "rs485": _one_of("off", "driver", "adapter"),
        "rs485_rts_high": _boolean,
        "rs485_turnaround_ms": _integer(0, 1000, " ms"),
    },
    "tcp": {"listen": _listen(_DEFAULT_TCP_PORT), "announce": _boolean},
    "tls": {"listen": _listen(_DEFAULT_TLS_PORT), "by": _tls_server, "announce": _boolean},
    "pyro": {"listen": _listen(_DEFAULT_TCP_PORT)},
    "wamp": {"router": _text, "ca": _text},
    "rt": {
        "priority": _integer(0, 98, " (0: not real time)"),
        "cpu": _integer(-1, 1023),
        "tasks": _one_of("threads", "single"),
        "task_cpu": _integer(-2, 1023, " (-1: any; -2: as rt.cpu)"),
        "watchdog_ms": _integer(0, 3_600_000, " ms (0: the longer of 100 ms and 10 periods)"),
        "watchdog_sensitivity": _integer(1, 100),
        "overrun": _one_of("skip", "fault"),
        "overrun_limit": _integer(1, 1000),
        "trace_ring_kib": _power_of_two(16, 262_144, " KiB"),
        "cpu_latency_us": _integer(-1, 1_000_000, " us (-1: do not hold)"),
    },
    "io": {"driver": _driver, "gpio": _gpio, "modbus": _modbus},
    "beremiz": {"cycle": _one_of("hosted", "own")},
    "store": {
        "dir": _text,
        "autostart": _boolean,
        "max_program_kib": _integer(1, 1_048_576, " KiB"),
        "blob_quota_kib": _integer(1, 4_194_304, " KiB"),
        "trace_buffer_kib": _integer(64, 1_048_576, " KiB"),
    },
    "supervision": {
        "crash_limit": _integer(0, 1000, " (0: never)"),
        "stable_s": _integer(1, 86_400, " s"),
    },
    "retain": {
        "enabled": _boolean,
        "dir": _text,
        "interval_s": _integer(1, 86_400, " s"),
    },
    "policy": {
        "serial": _role,
        "tcp": _role,
        "tls": _role,
        "wamp": _role,
        "pyro": _role,
        "pairing": _one_of("serial", "window", "off"),
        "programs": _one_of("any", "signed"),
        "program_keys": _text,
        "audit_kib": _integer(0, 1_048_576, " KiB (0: none)"),
    },
    "python": {
        "enabled": _boolean,
        "init_timeout_s": _integer(1, 3600, " s"),
        "call_timeout_s": _integer(1, 3600, " s"),
    },
}
