# SPDX-License-Identifier: MIT
"""The targets by name: functions of any bytes, which raise when an invariant does not hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "plc")]

from fuzz import (  # noqa: E402
    carrier_targets,
    identity_targets,
    link_targets,
    peer_targets,
    program_targets,
    pyro_targets,
    python_targets,
    service_targets,
    tls_targets,
    value_targets,
)

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
    "variable-names": program_targets.variable_names,
    "upload": program_targets.upload,
    "identity-export": identity_targets.identity_export,
    "identity-files": identity_targets.identity_files,
    "signature": identity_targets.program_signature,
    "calls": service_targets.calls,
    "server-line": service_targets.server_line,
    "replies": peer_targets.replies,
    "client": peer_targets.client,
    "bridge": peer_targets.bridge,
    "ide-procedures": carrier_targets.ide_procedures,
    "tunnel": carrier_targets.tunnel,
    "relay": carrier_targets.relay,
    "wamp-procedures": carrier_targets.wamp_procedures,
    "wamp-stock-board": carrier_targets.wamp_stock_board,
    "wamp-client": carrier_targets.wamp_client,
    "wamp-fleet": carrier_targets.wamp_fleet,
    "pyro-daemon": pyro_targets.pyro_daemon,
    "pyro-client": pyro_targets.pyro_client,
    "tls-hello": tls_targets.tls_hello,
    "python-process": python_targets.python_process,
    "csv-files": python_targets.csv_files,
    "type-mapping": python_targets.type_mapping,
}
