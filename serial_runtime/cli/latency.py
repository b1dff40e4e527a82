# SPDX-License-Identifier: MIT
"""latency: is this machine fit for a scan cycle?"""

from __future__ import annotations

import argparse
import sys
import time

from serial_runtime.cli.command import (
    Command,
    UsageError,
    json_option,
    number,
    print_json,
)
from serial_runtime.cli.timings import Timing, histogram, table
from serial_runtime.errors import StateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.board_latency import LatencyMeter, LatencyOptions
    from serial_runtime.board_types import Statistics
    from serial_runtime.latency.load import Load
    from serial_runtime.latency.surroundings import Surroundings
    from serial_runtime.latency.verdict import Verdict

_SETTLE_S = 0.3  # the first wake-ups find cold caches


def _kinds(text: str) -> list[str]:
    from serial_runtime.latency.load import KINDS

    kinds = [] if text == "none" else text.split(",")
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise UsageError(
            f"there is no load {sorted(unknown)[0]!r}: {', '.join(KINDS)}, some of them with "
            "commas between, or none"
        )
    return kinds


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", metavar="FILE", help="take priority and CPU from its [rt]")
    parser.add_argument(
        "--period-us",
        type=number(int, 50, 1_000_000),
        default=1000,
        metavar="US",
        help="of the cycle (default: 1000)",
    )
    parser.add_argument(
        "--priority",
        type=number(int, 0, 98),
        metavar="P",
        help="SCHED_FIFO, 0: not real time (default: 80)",
    )
    parser.add_argument("--cpu", type=number(int, -1, 1023), metavar="N", help="default: any")
    parser.add_argument(
        "--duration",
        type=number(float, 0.1, 1_000_000),
        default=30.0,
        metavar="S",
        help="of each part, idle and under load (default: 30)",
    )
    parser.add_argument(
        "--load",
        default="cpu,memory,disk,syscalls",
        metavar="KINDS",
        help="what keeps the machine busy, or none (default: cpu,memory,disk,syscalls; disk writes "
        "as fast as it can, which wears flash memory)",
    )
    parser.add_argument("--load-dir", default="", metavar="DIR", help="where disk writes")
    parser.add_argument(
        "--beside-runtime", action="store_true", help="measure although a program runs"
    )
    parser.add_argument("--histogram", action="store_true", help="show how they are distributed")
    parser.add_argument("--plot", metavar="FILE", help="draw them into a .png, .svg or .pdf")
    json_option(parser, "print JSON: nanoseconds, histograms included")


def _settings(arguments: argparse.Namespace) -> LatencyOptions:
    from serial_runtime.board_latency import LatencyOptions

    options = LatencyOptions(period_ns=arguments.period_us * 1000)
    if arguments.profile:
        from serial_runtime.profile_file import load_profile

        rt = load_profile(arguments.profile).rt
        options = options._replace(
            priority=rt.priority, cpu=rt.cpu, cpu_latency_us=rt.cpu_latency_us
        )
    for name in ("priority", "cpu"):
        if getattr(arguments, name) is not None:
            options = options._replace(**{name: getattr(arguments, name)})
    return options


def _refuse_beside(pids: list[int], cpu: int) -> None:
    if pids:
        where = f"CPU {cpu}" if cpu >= 0 else "this machine"
        raise StateError(
            f"a program runs on {where} (process {pids[0]}), and each would disturb the other: "
            "stop it (serial-runtime stop), measure another CPU (--cpu), or add --beside-runtime"
        )


def _wait(seconds: float, what: str, load: Load | None = None) -> None:
    """Tell the user, at a terminal, how long it takes."""
    end_s = time.monotonic() + seconds
    shown = sys.stderr.isatty()
    while (left_s := end_s - time.monotonic()) > 0:
        if shown:
            print(f"\r\x1b[K{what}: {left_s:.0f} s left", end="", file=sys.stderr, flush=True)
        time.sleep(min(1.0, left_s))
        if load is not None:
            load.check()
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _measure(meter: LatencyMeter, seconds: float, what: str, load: Load | None) -> Statistics:
    time.sleep(_SETTLE_S)
    meter.reset()
    _wait(seconds, what, load)
    return meter.read()


def measure(arguments: argparse.Namespace, meter: LatencyMeter) -> dict[str, Statistics]:
    """Idle, then under the load."""
    from serial_runtime.latency.load import Load

    parts = {"idle": _measure(meter, arguments.duration, "idle", None)}
    if arguments.load:
        with Load(arguments.load, arguments.load_dir) as load:
            parts["load"] = _measure(meter, arguments.duration, "under load", load)
    return parts


def _schedule_text(options: LatencyOptions, meter: LatencyMeter) -> str:
    where = f" on CPU {meter.cpu}" if meter.cpu >= 0 else ", any CPU"
    if meter.real_time:
        return f"real time, priority {options.priority}{where}"
    return f"NOT real time{where}"


def reasons(options: LatencyOptions, meter: LatencyMeter, around: Surroundings) -> list[str]:
    """What of the machine makes latencies long, as far as it is seen."""
    found = []
    if not meter.real_time:
        found.append(
            "priority 0 was asked for, so everything comes before the cycle"
            if options.priority == 0
            else "the real-time priority was refused: measure as root, or with an rtprio limit"
        )
    if 0 <= options.cpu != meter.cpu:
        found.append(f"CPU {options.cpu} was refused: there is no such one, or it is not allowed")
    if meter.backend != "cobalt" and not around.real_time:
        found.append(
            "the kernel is not PREEMPT_RT: its own work may hold a real-time thread up for "
            "milliseconds"
        )
    if around.virtual:
        found.append("it is a virtual machine: what its host does is part of every figure")
    if options.priority > 0 and options.cpu_latency_us >= 0 and not meter.idle_states_held:
        found.append("idle states of the CPU are not restricted: /dev/cpu_dma_latency needs root")
    if options.priority > 0 and not meter.memory_locked:
        found.append(
            "memory is not locked (CAP_IPC_LOCK or an unlimited memlock limit): a page may be "
            "fetched first"
        )
    if found:
        found.append("serial-runtime doctor --real-time looks at all of this machine's settings")
    return found


def _text(
    arguments: argparse.Namespace, parts: dict[str, Statistics], head: str, verdict: Verdict
) -> list[str]:
    text = [head]
    for name, found in parts.items():
        busy = f" ({', '.join(arguments.load)})" if name == "load" else ""
        label = "under load" if name == "load" else name
        text.append(f"{label}{busy}: {found.ticks} wake-ups, {found.skipped} periods skipped")
        timings = [
            Timing("wakeup latency", found.wakeup, found.wakeup.bins),
            Timing("period jitter", found.jitter, found.jitter.bins),
        ]
        text += table(timings)
        if arguments.histogram:
            for t in timings:
                text += histogram(t.label, t.bins, t.figures.bin_ns, t.figures.overflow)
    return [*text, *(f"- {sentence}" for sentence in verdict.sentences)]


def _plot(path: str, head: str, parts: dict[str, Statistics]) -> None:
    from serial_runtime.cli.plot import Curve, Panel, draw

    panels = [
        Panel(
            title,
            [
                Curve("under load" if name == "load" else name, figures, figures.bins)
                for name, found in parts.items()
                for figures in (getattr(found, part),)
            ],
        )
        for title, part in (("wakeup latency", "wakeup"), ("period jitter", "jitter"))
    ]
    draw(path, head, panels)
    print(f"{path} written", file=sys.stderr)


def _run(arguments: argparse.Namespace) -> int:
    from serial_runtime.board_latency import LatencyMeter
    from serial_runtime.doctor.machine import Machine
    from serial_runtime.latency.surroundings import look_around, running_cycles
    from serial_runtime.latency.verdict import judge, period_text

    arguments.load = _kinds(arguments.load)
    if arguments.plot:
        from serial_runtime.cli.plot import check

        check(arguments.plot)
    options = _settings(arguments)
    machine = Machine()
    if not arguments.beside_runtime:
        _refuse_beside(running_cycles(machine, options.cpu), options.cpu)
    meter = LatencyMeter(options)
    try:
        parts = measure(arguments, meter)
    finally:
        meter.close()
    around = look_around(machine)
    verdict = judge(parts, options.period_ns)
    why = reasons(options, meter, around)
    verdict = verdict._replace(sentences=(*verdict.sentences, *why))
    kernel = "PREEMPT_RT" if around.real_time else "not PREEMPT_RT"
    head = (
        f"{around.kernel} ({kernel}{', virtual machine' * around.virtual}), {meter.backend}: "
        f"period {period_text(options.period_ns)}, {_schedule_text(options, meter)}"
    )
    if arguments.json:
        print_json(
            {
                **around._asdict(),
                "backend": meter.backend,
                "options": options._asdict(),
                "got_real_time": meter.real_time,
                "got_cpu": meter.cpu,
                "load_kinds": arguments.load,
                "duration_s": arguments.duration,
                "verdict": verdict._asdict(),
                **{
                    name: {
                        "wakeups": found.ticks,
                        "skipped": found.skipped,
                        "wakeup": found.wakeup._asdict(),
                        "jitter": found.jitter._asdict(),
                    }
                    for name, found in parts.items()
                },
            }
        )
    else:
        print("\n".join(_text(arguments, parts, head, verdict)))
    if arguments.plot:
        _plot(arguments.plot, head, parts)
    return 0


LATENCY = Command(
    _run,
    description="Measure how late this machine wakes a thread like that of the scan cycle: idle, "
    "then under a load of its own. Says whether it is fit for the period, for which shortest one, "
    "and what stands in the way. Run it on the board itself, while no program runs.",
    example="  serial-runtime latency\n"
    "  serial-runtime latency --profile /etc/serial-runtime.toml --period-us 250 --duration 3600\n"
    "  serial-runtime latency --cpu 1 --plot latency.png\n",
    options=_options,
    uri=False,
)
