# SPDX-License-Identifier: MIT
"""The Python of a native program: real board, real child process, code that misbehaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from python_scene import Scene, until

from serial_runtime.plc.answers import PlcStatus

NewScene = Callable[..., Scene]

LIFE = """
import os
def note(what):
    with open({path!r}, "a") as file:
        print(what, file=file)
def _{stem}_init():
    note("{stem} init")
def _{stem}_start():
    note("{stem} start")
def _{stem}_stop():
    note("{stem} stop")
def _{stem}_cleanup():
    note("{stem} cleanup")
"""


def test_the_life_of_the_scripts(new_scene: NewScene, tmp_path: Path) -> None:
    path = tmp_path / "life"
    stems = ("runtime_1", "runtime_0_5", "Runtime_9")
    scripts = {stem: LIFE.format(path=str(path), stem=stem) for stem in stems}

    def lines() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    def each(what: str, order: tuple[str, ...]) -> list[str]:
        return [f"{stem} {what}" for stem in order]

    ordered = ("Runtime_9", "runtime_0_5", "runtime_1")
    scene = new_scene(start=False, **scripts, other="raise SystemExit")
    until(lambda: lines() == each("init", ordered))
    scene.plc.start()
    started = each("init", ordered) + each("start", ordered)
    until(lambda: lines() == started)
    scene.plc.stop()
    stopped = started + each("stop", ordered[::-1])
    until(lambda: lines() == stopped)
    scene.plc.start()
    until(lambda: lines() == stopped + each("start", ordered))
    scene.plc.stop()
    scene.plc.repair()
    until(lambda: lines()[-3:] == each("cleanup", ordered[::-1]))


def test_new_files_of_the_same_program_count(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0="def f(): return 'old'")
    assert scene.evaluate("f()") == "old"
    scene.load("blocks", **{"runtime_0.py": "def f(): return 'new'"})
    scene.plc.start()
    assert scene.evaluate("f()") == "new"
    assert scene.logged().count("runtime_0.py") == 2


def test_evaluations(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0="x = 20\ndef add(a, b=22): return a + b")
    assert scene.evaluate("add(x)") == "42"
    assert scene.evaluate("add(x, 1.5)") == "21.5"
    assert scene.evaluate("FBID == FBID and FBID > 0") == "True"
    assert scene.evaluate("'caf\xe9 ' + chr(0x20ac)") == "caf\xe9 ?"
    assert scene.evaluate("'y' * 1000") == "y" * 254
    assert scene.evaluate("1 / 0") == "#EXCEPTION : division by zero"
    assert scene.evaluate("x = 1").startswith("#EXCEPTION : ")
    assert scene.evaluate("exit(3)") == "#EXCEPTION : 3"
    assert "ZeroDivisionError" in scene.logged()


def test_a_poll_evaluates_again_and_again(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0="import itertools\ncount = itertools.count()")
    scene.force(AGAIN__CODE="next(count)", AGAIN__TRIG=True)
    until(lambda: scene.value("AGAIN_ANSWERS") > 20)
    assert int(str(scene.value("AGAIN.RESULT"))) > 10
    scene.force(AGAIN__TRIG=False)


def test_without_files_expressions_are_evaluated_too(new_scene: NewScene) -> None:
    scene = new_scene()
    assert scene.evaluate("6 * 7") == "42"


def test_files_and_modules_of_the_program_are_in_the_working_directory(
    new_scene: NewScene,
) -> None:
    scene = new_scene(
        runtime_0="import helping\nimport csv", helping="answer = 42", csv="raise SystemExit"
    )
    assert scene.evaluate("helping.answer") == "42"
    assert scene.evaluate("open('helping.py').read()") == "answer = 42"
    assert scene.evaluate("__import__('os').getcwd() == WorkingDir") == "True"


# ---- what goes wrong ---------------------------------------------------------------------------

ENDLESS = "[0 for _ in iter(int, 1)]"
CRASH = "__import__('ctypes').string_at(0)"


def test_an_endless_loop_and_a_crash_cost_the_process_only(new_scene: NewScene) -> None:
    scene = new_scene(call_s=0.5, runtime_0="def f(): return 'fine'")
    pid = scene.evaluate("__import__('os').getpid()")
    ticks = scene.value("COUNTER")
    assert scene.evaluate(ENDLESS) == "#EXCEPTION : it did not end in time; Python begins anew"
    assert not os.path.exists(f"/proc/{pid}")
    assert scene.evaluate(CRASH) == "#EXCEPTION : the process ended (SIGSEGV); Python begins anew"
    assert scene.evaluate("__import__('os')._exit(3)").startswith(
        "#EXCEPTION : the process ended (exit status 3)"
    )
    assert scene.evaluate("f()") == "fine"
    assert scene.plc.status()[0] is PlcStatus.STARTED
    assert scene.value("COUNTER") > ticks
    assert f"critical: python: {ENDLESS}: it did not end in time" in scene.logged()


@pytest.mark.parametrize(
    "garbage",
    [
        *("b'{'", "b'[]'", "b'{}'", "b'[1]'", """b'["write"]'""", """b'["share",[],1,2]'"""),
        *("b'[' * 100_000", """b'["log",Infinity,""]'"""),
    ],
)
@pytest.mark.parametrize("connection", [1, 2])
def test_garbage_from_user_code_costs_the_process_only(
    new_scene: NewScene, garbage: str, connection: int
) -> None:
    scene = new_scene()
    write = f"__import__('os').write(int(__import__('sys').argv[{connection}]), {garbage})"
    assert scene.evaluate(f"({write}, __import__('time').sleep(9))").startswith(
        "#EXCEPTION : what it says makes no sense"
    )
    assert scene.evaluate("1 + 1") == "2"


def faults_of_the_task() -> int:
    """Page faults of the task thread so far."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == "plc-scan":
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            return int(fields[7]) + int(fields[9])
    raise AssertionError("no task runs")


def test_starting_and_killing_the_process_costs_the_cycle_no_page_fault(
    new_scene: NewScene,
) -> None:
    scene = new_scene(call_s=0.3, runtime_0="", priority=80)
    if not scene.board.real_time:
        pytest.skip(scene.board.scheduling)
    scene.evaluate("1")
    before = faults_of_the_task()
    scene.evaluate(ENDLESS)
    assert scene.evaluate("2") == "2"
    assert faults_of_the_task() == before


def test_an_init_that_does_not_end(new_scene: NewScene) -> None:
    scene = new_scene(init_s=0.5, runtime_0=f"def _runtime_0_init():\n    {ENDLESS}")
    assert scene.plc.status()[0] is PlcStatus.STARTED
    assert scene.evaluate("1").startswith("#EXCEPTION : the files of the program and init: it did")
    assert "the program goes on without" in scene.logged()


def test_a_file_that_fails(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0="ok = 1", runtime_1="import nosuchmodule")
    assert "ModuleNotFoundError: No module named 'nosuchmodule'" in scene.evaluate("ok")
    assert 'runtime_1.py", line 1' in scene.logged()
    scene.load("blocks", **{"runtime_0.py": "ok = 2"})
    scene.plc.start()
    assert scene.evaluate("ok") == "2"


def test_exceptions_in_the_life_are_logged_and_it_goes_on(new_scene: NewScene) -> None:
    scene = new_scene(
        runtime_0="def _runtime_0_init(): undefined\ndef _runtime_0_start(): 1 / 0",
        runtime_1="def also():\n    global started\n    started = PLCObject.PLCStatus\n"
        "_runtime_start.append(also)",
    )
    assert scene.evaluate("started") == "Started"
    logged = scene.logged()
    assert "critical: python: _runtime_0_init failed" in logged
    assert "NameError: name 'undefined' is not defined" in logged
    assert "critical: python: _runtime_0_start failed" in logged


def test_threads_and_children_of_the_scripts_end_with_it(new_scene: NewScene) -> None:
    scene = new_scene(
        runtime_0="import subprocess, threading\n"
        "threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n"
        "child = subprocess.Popen(['sleep', '1000'])"
    )
    pids = scene.evaluate("'%d %d' % (__import__('os').getpid(), child.pid)").split()
    scene.plc.stop()
    scene.plc.repair()
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_the_process_ends_with_a_runtime_that_is_killed(tmp_path: Path) -> None:
    body = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from python_scene import Scene
scene = Scene({str(tmp_path)!r}, runtime_0="")
print(scene.evaluate("__import__('os').getpid()"), flush=True)
scene.force(ONCE__TRIG=False)
scene.force(AGAIN__CODE="{ENDLESS}", AGAIN__TRIG=True)
sys.stdin.read()
"""
    runtime = subprocess.Popen(
        [sys.executable, "-c", body], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with runtime:
        assert runtime.stdout is not None
        pid = runtime.stdout.readline().strip()
        assert pid
        runtime.kill()
    until(lambda: not os.path.exists(f"/proc/{pid}"))


# ---- off ---------------------------------------------------------------------------------------


def test_while_python_is_off_the_program_runs_and_the_log_tells(new_scene: NewScene) -> None:
    scene = new_scene(python=False, runtime_0="raise SystemExit")
    assert scene.evaluate("1") == "#EXCEPTION : Python is off on this board"
    assert scene.evaluate("2") == "#EXCEPTION : Python is off on this board"
    logged = scene.logged()
    assert "the program brings Python (runtime_0.py), which is off" in logged
    assert logged.count("has Python code evaluated, and Python is off") == 1


def test_while_python_is_off_nothing_of_it_is_imported() -> None:
    body = (
        "import sys\n"
        "from serial_runtime import config, daemon\n"
        "assert daemon._extensions(config.Python(), None).__name__ == 'NoExtensions'\n"
        "assert 'serial_runtime.extensions' not in sys.modules\n"
        "assert 'subprocess' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", body], check=True)


# ---- shared variables --------------------------------------------------------------------------

SHARING = """
share("level", "TANK.LEVEL")
share("ratio")
share("span", "SPAN")
share("TEXT")
share("LAMP")
share("BUTTON")
share("COUNTER")
def write(name, value):
    setattr(PLCGlobals, name, value)
"""


def test_variables_are_read_and_written(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0=SHARING.replace('"ratio"', '"ratio", "RATIO"'))
    assert scene.evaluate("PLCGlobals.level") == "5"
    assert scene.evaluate("write('level', -7)") == "None"
    assert scene.value("TANK.LEVEL") == -7  # whoever has the result has the value, too
    assert scene.evaluate("PLCGlobals.level") == "-7"
    scene.evaluate("write('ratio', 0.5)")
    scene.evaluate("write('TEXT', 'hello')")
    scene.evaluate("write('LAMP', True)")
    scene.evaluate("write('span', __import__('datetime').timedelta(milliseconds=-1500))")
    assert scene.value("RATIO") == 0.5
    assert scene.value("TEXT") == "hello"
    assert scene.value("LAMP") is True
    assert scene.value("SPAN") == -1_500_000_000
    assert scene.evaluate("PLCGlobals.span.total_seconds()") == "-1.5"
    assert scene.evaluate("PLCGlobals.TEXT") == "hello"
    first = int(scene.evaluate("PLCGlobals.COUNTER"))
    assert int(scene.evaluate("PLCGlobals.COUNTER")) > first


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("write('level', 1 << 40)", "does not fit DINT"),
        ("write('level', 'x')", "does not fit DINT"),
        ("write('level', [1])", "does not fit level"),
        ("write('TEXT', 'x' * 21)", "takes 20 at most"),
        ("write('BUTTON', True)", "an input"),
        ("write('nothing', 1)", "is not shared"),
        ("PLCGlobals.nothing", "is not shared"),
        ("share('x', 'NO.SUCH')", "NO.SUCH: the program has no such variable"),
    ],
)
def test_what_cannot_be_shared_or_written_says_so(
    new_scene: NewScene, code: str, sentence: str
) -> None:
    scene = new_scene(runtime_0=SHARING.replace('"ratio"', '"ratio", "RATIO"'))
    assert sentence in scene.evaluate(code)
    assert scene.value("TANK.LEVEL") == 5


def test_a_forced_variable_is_left_alone(new_scene: NewScene) -> None:
    scene = new_scene(runtime_0=SHARING.replace('"ratio"', '"ratio", "RATIO"'))
    scene.force(TANK__LEVEL=99)
    scene.evaluate("write('level', 1)")
    assert scene.value("TANK.LEVEL") == 99
    assert scene.evaluate("PLCGlobals.level") == "99"


def test_what_init_writes_is_there_when_the_program_starts(new_scene: NewScene) -> None:
    scene = new_scene(
        start=False,
        runtime_0='share("level", "tank.level")\n'
        "def _runtime_0_init():\n    PLCGlobals.level = 1234\n    print(PLCGlobals.level)",
    )
    until(lambda: "python: runtime_0.py" in scene.logged())
    scene.plc.start()
    until(lambda: scene.value("TANK.LEVEL") == 1234)


def test_changes_call_back(new_scene: NewScene) -> None:
    scene = new_scene(
        runtime_0="seen = []\n"
        "def changed(name):\n"
        "    change = getattr(OnChange, name)\n"
        "    seen.append((name, change.count, change.first, change.last))\n"
        'share("level", "TANK.LEVEL", changed)\n'
        'share("lamp", "LAMP", lambda name: 1 / 0)\n'
        'share("COUNTER", on_change=changed)\n'
    )
    assert scene.evaluate("1") == "1"
    scene.force(TANK__LEVEL=6)
    until(lambda: "('level'" in scene.evaluate("[one for one in seen if one[0] == 'level']"))
    assert scene.evaluate("[one for one in seen if one[0] == 'level']") == "[('level', 1, 5, 6)]"
    # The counter changes every cycle: no change is lost or counted twice.
    assert scene.evaluate("sum(c for n, c, *_ in seen if n == 'COUNTER') > 5") == "True"
    gaps = "[1 for n, c, f, l in seen if n == 'COUNTER' and l - f != c]"
    assert scene.evaluate(gaps) == "[]"
    scene.force(LAMP=True)
    until(lambda: re.search("on_change of lamp failed", scene.logged()))


def test_a_loop_over_variables_does_not_hold_up_the_runtime(new_scene: NewScene) -> None:
    scene = new_scene(
        runtime_0='share("level", "TANK.LEVEL")\n'
        "def wait():\n"
        "    while PLCGlobals.level != 77:\n"
        "        pass\n"
        "    return 'seen'\n"
    )
    scene.force(ONCE__CODE="wait()", ONCE__TRIG=True)
    until(lambda: scene.value("COUNTER") > 100)
    scene.force(TANK__LEVEL=77)
    until(lambda: scene.value("ONCE.RESULT") == "seen")
