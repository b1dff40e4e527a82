# SPDX-License-Identifier: MIT
"""The Python of an object with the entry points of the IDE's, in a thread of the runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from python_scene import IMAGES, Scene, until

from serial_runtime.plc.answers import PlcStatus

NewScene = Callable[..., Scene]
OBJECT = sorted((Path(__file__).parents[1] / "images").glob("beremiz*.c"))


@cache
def asking_object() -> bytes:
    """tests/images/beremiz*.c, with asks.c around its cycle."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        flags = ["-std=gnu11", "-O2", "-fPIC", "-pthread", "-Wall", "-Wextra"]
        renamed = [f"-D__{name}=renamed_{name}" for name in ("init", "run", "cleanup")]
        sources = {IMAGES / "asks.c": [], **dict.fromkeys(OBJECT, renamed)}
        parts = [f"{folder}/{source.stem}.o" for source in sources]
        for (source, defines), part in zip(sources.items(), parts, strict=True):
            subprocess.run(["gcc", *flags, *defines, "-c", str(source), "-o", part], check=True)
        out = f"{folder}/plc.so"
        subprocess.run(["gcc", "-shared", *flags, *parts, "-o", out], check=True)
        return Path(out).read_bytes()


GENERATED = """
from runtime.typemapping import TypeTranslator
import ctypes
_x_ctype, _x_unpack, _x_pack = TypeTranslator["DINT"]
_PySafeGetPLCGlob_x = PLCBinary.__SafeGetPLCGlob_x
_PySafeSetPLCGlob_x = PLCBinary.__SafeSetPLCGlob_x
_PyOnChangeCount_x = ctypes.c_uint.in_dll(PLCBinary, "__x_onchange_count")
_PyOnChangeFirst_x = _x_ctype.in_dll(PLCBinary, "__x_onchange_firstval")
_PyOnChangeLast_x = _x_ctype.in_dll(PLCBinary, "__x_onchange_lastval")
PLCGlobalsDesc.append(("one", []))
def result():
    return (ctypes.c_char * 300).in_dll(PLCBinary, "last_result").value.decode()
"""

STEPS = """
def _runtime_1_init():
    PLCObject.LogMessage("init")
def _runtime_1_start():
    PLCObject.LogMessage(1, "start")
def _runtime_1_stop():
    PLCObject.LogMessage("stop")
def _runtime_1_cleanup():
    PLCObject.LogMessage("cleanup")
def step(n):
    PLCObject.LogMessage("step %d after %r" % (n, result()))
    if n % 4 == 1:
        PLCGlobals.x = PLCGlobals.x + 37
        return PLCGlobals.x
    if n % 4 == 2:
        return OnChange.x.count, OnChange.x.first, OnChange.x.last, FBID > 0
    if n % 4 == 3:
        return PLCGlobals.nothing
    with open("data.txt") as file:
        return file.read()
"""


def load(scene: Scene, **files: str) -> None:
    scene.load(asking_object(), **{f"{name}.py": text for name, text in files.items()})


def test_a_program_of_the_ide(new_scene: NewScene, tmp_path: Path) -> None:
    scene = new_scene()
    before = os.getcwd()
    data = {"runtime_0.py": GENERATED, "runtime_1.py": STEPS, "data.txt": "contents"}
    scene.load(asking_object(), **data)
    until(lambda: "info: init" in scene.logged())
    scene.plc.start()
    until(lambda: "step 4 after" in scene.logged())
    logged = scene.logged()
    assert "step 1 after 'contents'" in logged
    assert "step 2 after '42'" in logged
    assert "step 3 after '(2, 3, 4, True)'" in logged
    assert "step 4 after '#EXCEPTION : the program shares no variable nothing'" in logged
    assert "warning: start" in logged
    assert os.getcwd() == before

    for _ in range(3):  # while the thread is inside the object as a rule
        scene.plc.stop()
        scene.plc.start()
    scene.plc.stop()
    until(lambda: scene.logged().count("info: stop") == 4)
    scene.plc.repair()
    assert "info: cleanup" in scene.logged()
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
    scene.load("blocks")
    scene.plc.start()
    assert scene.evaluate("1") == "1"


def test_code_that_fails_is_logged_and_the_program_runs(new_scene: NewScene) -> None:
    scene = new_scene()
    load(scene, runtime_0=GENERATED + "import nosuchmodule")
    scene.plc.start()
    until(lambda: "No module named 'nosuchmodule'" in scene.logged())
    assert scene.plc.status()[0] is PlcStatus.STARTED
    ticks = scene.plc.statistics().ticks
    until(lambda: scene.plc.statistics().ticks > ticks)


def test_init_holds_up_nobody(new_scene: NewScene, tmp_path: Path) -> None:
    scene = new_scene(init_s=0.1)
    load(
        scene,
        runtime_0="import os, time\ndef _runtime_0_init():\n"
        "    while not os.path.exists('go'):\n        time.sleep(0.01)\n"
        "    PLCObject.LogMessage('at last')",
    )
    scene.plc.start()
    until(lambda: "python: init: takes longer than 0.1 s" in scene.logged())
    assert scene.plc.status()[0] is PlcStatus.STARTED
    for folder in tmp_path.glob("slot-*/files"):
        (folder / "go").touch()
    until(lambda: "at last" in scene.logged())


ABANDONED = """
import sys
sys.path.insert(0, {here!r})
from python_scene import Scene
from test_in_process import asking_object, load
scene = Scene({store!r})
load(scene, runtime_0="def _runtime_0_init():\\n    while True:\\n        pass")
scene.plc.start()
scene.plc.stop()
scene.load("blocks")
print(scene.plc.restart)
print(scene.logged())
sys.stdout.flush()
import os
os._exit(0)
"""


def test_code_that_does_not_end_needs_a_new_process(tmp_path: Path) -> None:
    body = ABANDONED.format(here=str(Path(__file__).parent), store=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, timeout=150, check=True
    )
    assert "RestartPlan(start=False" in done.stdout
    assert "code of the program before does not end" in done.stdout
