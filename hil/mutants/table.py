# SPDX-License-Identifier: MIT
"""The mutants: what is broken, and which scenario must fail.

Those that no scenario but a power cut can tell are in ``hil/power_cuts/mutants.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """A change of one file. `caught_by` is a test below hil/scenarios."""

    file: str
    old: str
    new: str
    caught_by: str

    @property
    def is_c(self) -> bool:
        """Whether the C shim is to be built again."""
        return self.file.endswith((".c", ".h"))

    def apply(self, root: Path) -> None:
        """Break the tree below `root`. ValueError: its place is not there, or not once."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(
                f"{self.file} has the place of the mutant {text.count(self.old)} times"
            )
        path.write_text(text.replace(self.old, self.new))


MUTANTS = {
    # What the program writes around the macros reaches a forced output.
    "forced-outputs-not-restored": Mutant(
        "board/cycle.c",
        "    force_hold(parts->force, 0);\n    store_outputs(",
        "    store_outputs(",
        "test_forces.py::test_holds_against_program_and_input",
    ),
    # A request that is repeated, since its reply was lost, is executed again.
    "replay-cache-off": Mutant(
        "serial_runtime/protocol/session.py",
        "        entry = session.entries.get(number)\n        if isinstance(entry, bytes):\n",
        "        entry = session.entries.get(number)\n"
        "        if isinstance(entry, bytes):\n"
        "            entry = None\n"
        "        if isinstance(entry, bytes):\n",
        "test_repeated_requests.py::test_start_and_stop",
    ),
    "watchdog-never-fires": Mutant(
        "board/watchdog.c",
        "    watch->looks++;\n",
        "    watch->looks = 0;\n",
        "test_safe_state.py::test_a_fault_of_the_program[endless loop]",
    ),
    "outputs-stay-after-a-fault": Mutant(
        "board/cycle.c",
        "    if (self->task == NULL)\n"
        "        cycle->parts.io->safe(cycle->parts.io_state);\n"
        "    if (at_fault) {\n",
        "    if (at_fault) {\n",
        "test_safe_state.py::test_a_fault_of_the_program[wild write]",
    ),
    "guard-sleeps": Mutant(
        "board/guard.c",
        "    driver->safe(state);\n",
        "    (void)driver;\n    (void)state;\n",
        "test_safe_state.py::test_the_death_of_the_runtime",
    ),
}
