# SPDX-License-Identifier: MIT
"""The targets by name: functions of any bytes, which raise when an invariant does not hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "plc"), str(TESTS / "bridge")]

from fuzz import link_targets, peer_targets, program_targets, service_targets, value_targets  # noqa: E402

Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    "frame": link_targets.frame,
    "stream-frame": link_targets.stream_frame,
    "envelope": link_targets.envelope_bytes,
    "refusal": link_targets.refusal,
    "server-sessions": link_targets.server_sessions,
    "client-session": link_targets.client_session,
    "plain-session": link_targets.plain_session,
    "baud-switch": link_targets.baud_switch,
    "uri": value_targets.uri,
    "profile": value_targets.profile,
    "literal": value_targets.literal,
    "value": value_targets.value,
    "trace-batch": value_targets.trace_batch,
    "elf": program_targets.elf,
    "upload": program_targets.upload,
    "calls": service_targets.calls,
    "server-line": service_targets.server_line,
    "replies": peer_targets.replies,
    "client": peer_targets.client,
    "bridge": peer_targets.bridge,
}
