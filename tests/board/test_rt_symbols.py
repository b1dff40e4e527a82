# SPDX-License-Identifier: MIT
"""What the functions marked SR_RT may call, read from the relocations of their object files.

The scan cycle must not allocate, lock, print or enter the kernel but where it waits. So every C
file is compiled as for a release, each function into a section of its own; a relocation in a
function's section is a call (or an address it takes); and whatever can be reached from a
function marked ``SR_RT`` inside our objects is followed, until only symbols of libraries are
left. Those must be on the list below.

Calls through a pointer do not show. There are three kinds: I/O drivers, whose functions must
carry the mark themselves (tested here), the tasks of a program image (the image's own duty, see
``plc_abi.h``), and bodies handed to ``platform_protect`` and ``platform_thread_start``, which
carry the mark or take no part in the cycle.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "board"
FOLDERS = [BOARD, BOARD / "io", BOARD / "posix"]
INCLUDES = [f"-I{BOARD}", f"-I{ROOT / 'serial_runtime' / 'include'}"]
# As the extension module is built (board/ffi_build.py), and one section a function.
FLAGS = ["-std=c11", "-O2", "-fvisibility=hidden", "-fPIC", "-ffunction-sections"]
FLAGS += ["-Wall", "-Wextra", "-Wconversion", "-Werror"]

NATIVE = os.environ.get("CC", "gcc")
# A 32-bit target shows what needs 64-bit arithmetic or atomics from a library.
COMPILERS = [NATIVE, "arm-linux-gnueabihf-gcc", "aarch64-linux-gnu-gcc", "clang"]

# Symbols of libraries that the cycle may use, and why.
ALLOWED = {
    # Memory, by value.
    "memcpy", "memset", "memmove",
    # Who calls: a load from the thread's own register.
    "pthread_self",
    # The clock and the wait.
    "clock_gettime", "clock_nanosleep",
    # Leaving a crashed body.
    "__sigsetjmp", "siglongjmp",
    # What the compiler puts in by itself: addressing, a check that ends the process, arithmetic
    # that 32-bit ARM has no instruction for. (Not __tls_get_addr: it may allocate.)
    "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail",
    "__aeabi_idiv", "__aeabi_idivmod", "__aeabi_uidiv", "__aeabi_uidivmod",
    "__aeabi_ldivmod", "__aeabi_uldivmod",
    # Atomic exchanges on 64-bit ARM: one instruction, or a short loop on an older processor.
    "__aarch64_swp1_acq_rel", "__aarch64_swp1_relax", "__aarch64_swp8_acq", "__aarch64_swp8_relax",
    "__aarch64_cas4_acq_rel", "__aarch64_swp4_acq_rel", "__aarch64_ldadd4_acq_rel",
}  # fmt: skip

# What one function may use besides: none of them is part of a cycle that goes on.
ALLOWED_IN = {
    # The end of a faulted thread: it gives up its priority and sleeps for good.
    "platform_park": {"sigfillset", "pthread_sigmask", "sigsuspend", "syscall"},
    # The watchdog's thread, once, at a task that no longer reacts.
    "platform_interrupt": {"pthread_kill", "__libc_current_sigrtmax"},
    # GPIO outputs made safe, after the last cycle: reached from gpio_safe through a pointer.
    "system_ioctl": {"ioctl", "__errno_location"},
    # In lockstep with a simulated plant, which has the time.
    "sim_word_wait": {"syscall", "__errno_location"},
    "sim_word_wake": {"syscall"},
    # The same, when a program ends by a fault, for threads that wait for a release.
    "platform_kick": {"pthread_kill", "__libc_current_sigrtmax"},
}

MARKED = re.compile(r"\bSR_RT\b([^;{}()]*?)\b(\w+)\s*\((?!\s*\*)")
POINTER = re.compile(r"\bSR_RT_POINTER\b[^;{}()]*?\(\s*\*\s*(\w+)\s*\)")


def tool(*command: str) -> str:
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def without_comments(text: str) -> str:
    """Nor preprocessor lines: one of them defines the mark."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


def marked_functions(text: str, inline: bool = True) -> set[str]:
    """Names declared or defined with SR_RT, function pointers left out."""
    found = MARKED.findall(without_comments(text))
    return {name for words, name in found if inline or "inline" not in words.split()}


# Names marked SR_RT in each C file, by the name of its object; in the headers under "".
Roots = dict[str, set[str]]


class Objects:
    """A call graph over compiled files.

    A node is a section, named by file and section index: the parts the compiler splits a function
    into have sections of their own, and local symbols may only appear as section and offset.
    """

    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], set[str]] = {}  # node -> functions in it
        self._local: dict[tuple[str, str], tuple[str, str]] = {}  # (file, function) -> node
        self._exported: dict[str, tuple[str, str]] = {}
        self._targets: dict[tuple[str, str], set[str]] = {}  # node -> symbols it refers to

    def add(self, path: Path) -> None:
        file = path.stem
        listing = tool("readelf", "--wide", "--sections", "--symbols", "--relocs", str(path))
        names = dict(re.findall(r"^\s*\[\s*(\d+)\]\s+(\S+)", listing, re.MULTILINE))
        index_of = {name: index for index, name in names.items()}
        for line in listing.splitlines():
            words = line.split()
            # Num: Value Size Type Bind Vis Ndx Name
            if len(words) == 8 and words[3] == "FUNC" and words[6].isdigit():
                node = (file, words[6])
                self._functions.setdefault(node, set()).add(words[7])
                self._local[(file, words[7])] = node
                if words[4] == "GLOBAL":
                    self._exported[words[7]] = node
        current: tuple[str, str] | None = None
        for line in listing.splitlines():
            header = re.match(r"Relocation section '\.rela?(\.\S+)'", line)
            if header:
                index = index_of.get(header[1], "")
                current = (file, index) if (file, index) in self._functions else None
            elif re.match(r"[0-9a-f]{8,}\s", line) and current is not None:
                # Offset Info Type Value Symbol [+ - Addend]
                words = line.split()
                if len(words) >= 5:
                    self._targets.setdefault(current, set()).add(words[4].split("@")[0])
                    if words[4].startswith("."):  # a section of this file
                        index = index_of.get(words[4], "")
                        self._local.setdefault((file, words[4]), (file, index))

    def _resolve(self, file: str, symbol: str) -> tuple[str, str] | None:
        return self._local.get((file, symbol)) or self._exported.get(symbol)

    def defines(self, symbol: str) -> bool:
        return any(function == symbol for _, function in self._local)

    def foreign(self, roots: Roots, data: set[str]) -> dict[tuple[str, str], str]:
        """(function, library symbol it refers to) -> chain of calls from one of ``roots``.

        ``data`` holds our own symbols that are no functions.
        """
        waiting = [
            (node, name)
            for (file, name), node in self._local.items()
            if name in roots.get(file, set()) or (name in self._exported and name in roots[""])
        ]
        seen = {node for node, _ in waiting}
        found: dict[tuple[str, str], str] = {}
        while waiting:
            node, chain = waiting.pop()
            for symbol in sorted(self._targets.get(node, ())):
                target = self._resolve(node[0], symbol)
                if target is None:
                    if symbol not in data and not symbol.startswith("."):
                        found.setdefault((chain.split(" -> ")[-1], symbol), chain)
                elif target not in seen and target in self._functions:
                    seen.add(target)
                    name = sorted(self._functions[target])[0]
                    waiting.append((target, f"{chain} -> {name}"))
        return found


def data_symbols(objects: list[Path]) -> set[str]:
    """Variables and constants of our own, which an RT function may refer to."""
    listing = tool("readelf", "--wide", "--symbols", *map(str, objects))
    return {
        words[7]
        for words in map(str.split, listing.splitlines())
        if len(words) == 8 and words[3] in ("OBJECT", "TLS") and words[6] != "UND"
    }


def object_name(source: Path) -> str:
    """Unique among all folders."""
    return f"{source.parent.name}-{source.stem}"


def compile_(
    sources: list[Path], directory: Path, flags: list[str], compiler: str = NATIVE
) -> list[Path]:
    objects = []
    for source in sources:
        target = directory / f"{object_name(source)}.o"
        tool(compiler, *flags, *INCLUDES, "-c", str(source), "-o", str(target))
        objects.append(target)
    return objects


def c_sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in folder.glob("*.c"))


def graph_of(objects: list[Path]) -> Objects:
    graph = Objects()
    for path in objects:
        graph.add(path)
    return graph


@pytest.fixture(scope="module", params=COMPILERS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    compiler: str = request.param
    if compiler != NATIVE and shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    return compile_(c_sources(), tmp_path_factory.mktemp("objects"), FLAGS, compiler)


@pytest.fixture(scope="module")
def roots() -> Roots:
    found = {object_name(path): marked_functions(path.read_text()) for path in c_sources()}
    headers = [path for folder in FOLDERS for path in folder.glob("*.h")]
    found[""] = set().union(*(marked_functions(path.read_text()) for path in headers))
    return found


def forbidden(found: dict[tuple[str, str], str]) -> list[str]:
    """What of ``Objects.foreign``'s result is not allowed, as chains."""
    return [
        f"{chain} -> {symbol}"
        for (function, symbol), chain in sorted(found.items())
        if symbol not in ALLOWED | ALLOWED_IN.get(function, set())
    ]


def test_rt_functions_call_only_what_is_allowed(objects: list[Path], roots: Roots) -> None:
    found = graph_of(objects).foreign(roots, data_symbols(objects))
    assert forbidden(found) == []
    seen = {symbol for _, symbol in found}
    assert {"memcpy", "clock_nanosleep"} <= seen  # the search does see what is called
    used = {(function, symbol) for function, symbols in ALLOWED_IN.items() for symbol in symbols}
    assert used <= set(found)  # no exception outlives its use


def test_marks_are_found(objects: list[Path], roots: Roots) -> None:
    graph = graph_of(objects)
    expected = {"ring_reserve", "trace_capture", "force_apply", "log_put", "stats_record"}
    expected |= {"location_load", "sim_read", "none_write", "platform_wait_period"}
    assert expected <= set().union(*roots.values())
    # Static and inline functions may have vanished into their callers; others cannot.
    for header in [path for folder in FOLDERS for path in folder.glob("*.h")]:
        for name in marked_functions(header.read_text(), inline=False):
            assert graph.defines(name), f"{name} of {header.name} is in no object"


def test_drivers_carry_the_mark(roots: Roots) -> None:
    pointers = set(POINTER.findall(without_comments((BOARD / "io" / "io.h").read_text())))
    assert pointers == {"await", "read", "write", "safe"}
    drivers = 0
    for source in sorted((BOARD / "io").glob("*.c")):
        text = without_comments(source.read_text())
        for table in re.findall(r"const struct io_driver \w+ = \{(.*?)\}", text, re.DOTALL):
            drivers += 1
            members = dict(re.findall(r"\.(\w+)\s*=\s*(\w+)", table))
            marked = {members[name] for name in pointers & members.keys()}
            assert marked <= roots[object_name(source)]
    assert drivers >= 2


PLANTED = """
#include <stdlib.h>
#define SR_RT
int counter;
static void *helper(size_t n);
static __attribute__((noinline)) void *helper(size_t n) {{ counter++; return {call}; }}
void *not_marked(size_t n);
void *not_marked(size_t n) {{ return realloc(NULL, n); }}
SR_RT void *planted(size_t n);
SR_RT void *planted(size_t n) {{ return helper(n); }}
"""


@pytest.mark.parametrize("optimise", ["-O0", "-O2", "-Os"])
def test_a_planted_violation_is_found(tmp_path: Path, optimise: str) -> None:
    source = tmp_path / "planted.c"
    flags = [*FLAGS, optimise, "-fno-inline"]
    source.write_text(PLANTED.format(call="malloc(n)"))
    assert marked_functions(source.read_text()) == {"planted"}
    compiled = compile_([source], tmp_path, flags)
    found = graph_of(compiled).foreign({"": {"planted"}}, data_symbols(compiled))
    assert forbidden(found) == ["planted -> helper -> malloc"]
    source.write_text(PLANTED.format(call="(void *)n"))
    compiled = compile_([source], tmp_path, flags)
    found = graph_of(compiled).foreign({"": {"planted"}}, data_symbols(compiled))
    assert forbidden(found) == []
