# SPDX-License-Identifier: MIT
"""What a client may do, by the way it came and the identity it has proven."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serial_runtime.errors import AccessDenied, CallRefused, CallUnsupported, StateError
from serial_runtime.plc import pairing
from serial_runtime.plc.audit import AuditLog, read
from serial_runtime.plc.identity import FILE
from serial_runtime.protocol import envelope
from serial_runtime.protocol.frame import FrameDecoder, encode_frame
from serial_runtime.rpc.access import METHODS, Access, Caller, Peer, Role
from serial_runtime.rpc.board.interface import IBoardService as Board
from serial_runtime.rpc.client import Client
from serial_runtime.rpc.ide.common import Status
from serial_runtime.rpc.ide.interface import IBeremizPLCObjectService as Ide
from serial_runtime.rpc.plain_refusal import plain_refusal
from serial_runtime.transport.loop import LoopTransport

SECRET = "a-secret-of-26-characters."
OWN = f"bench-1:{SECRET} program\n"


def test_every_method_has_a_role() -> None:
    methods = {
        (interface.SERVICE_ID, getattr(interface, constant))
        for interface in (Ide, Board)
        for constant in dir(interface)
        if constant.endswith("_ID") and constant != "SERVICE_ID"
    }
    assert set(METHODS) == methods
    assert all(hasattr(Ide, name) or hasattr(Board, name) for name, _ in METHODS.values())


class Gate:
    """A server behind a policy, and clients of any kind of transport."""

    def __init__(self, bench: Any, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.roles: dict[str, Role] = {}
        self.audit = AuditLog(str(folder), 1 << 16, pytest.fail)
        self._serve = bench.server.serve

    def let(self, kind: str, identity: str = "") -> Callable[[], LoopTransport]:
        """What opens a link of this kind."""
        self.bench.server.access = Access(self.roles, str(self.folder), "serial", self.audit)

        def serve(far: LoopTransport) -> None:
            # Before the server sees it, as a listener makes it.
            far.kind, far.identity, far.name = kind, identity, "there"  # type: ignore[misc]
            self._serve(far)

        self.bench.server.serve = serve
        opener: Callable[[], LoopTransport] = self.bench.open
        return opener

    def client(self, kind: str, identity: str = "", **options: Any) -> Client:
        return Client(
            self.let(kind, identity), **{"timeout_s": 20.0, "reconnect_s": 20.0, **options}
        )

    def plain(self, kind: str, method: int, arguments: bytes = b"", identity: str = "") -> bytes:
        """The answer to one plain call, as an IDE makes it, less the message head."""
        end = self.let(kind, identity)()
        end.write(encode_frame(struct.pack("<II", 1 << 24 | 1 << 16 | method << 8, 5) + arguments))
        decoder = FrameDecoder(65535, 0.1)
        while True:
            data = end.read(10)
            assert data, "no reply within 10 s"
            if frames := decoder.feed(data, 0.0):
                return frames[0].body[8:]

    def audited(self) -> list[tuple[str, str]]:
        self.audit.close()
        return [(row["call"], row["outcome"]) for row in read(str(self.folder))]


@pytest.fixture
def gate(bench: Any, tmp_path: Path) -> Iterator[Gate]:
    (tmp_path / FILE).write_text(OWN + f"panel:{SECRET}1 operate\nwall:{SECRET}2 view\n")
    gate = Gate(bench, tmp_path)
    yield gate
    gate.audit.close()


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_what_it_should_and_nothing_else(gate: Gate, plc: Any, role: Role) -> None:
    gate.roles["tcp"] = role
    plc.state = Status.Stopped
    with gate.client("tcp") as client:
        client.status()
        client.read(["VAR1"])
        client.statistics()
        client.task_figures(bins=True)
        client.maximum(1)
        calls: list[tuple[Role, Callable[[], object]]] = [
            (Role.OPERATE, client.start),
            (Role.OPERATE, lambda: client.force({"VAR1": b"\1\0\0\0"})),
            (Role.OPERATE, client.unforce),
            (Role.OPERATE, client.reset_log),
            (Role.OPERATE, lambda: client.statistics(reset=True)),
            (Role.OPERATE, client.reset_statistics),
            (Role.OPERATE, client.stop),
            (Role.PROGRAM, lambda: client.download(b"program")),
            (Role.PROGRAM, client.repair),
        ]
        for needed, call in calls:
            if role >= needed:
                call()
            else:
                with pytest.raises(CallRefused, match=rf"needs the role {needed.name.lower()}, "):
                    call()
        assert client.status()
    if role is Role.VIEW:
        assert plc.calls == []


def test_a_plain_call_is_refused_in_the_form_that_keeps_an_ide_connected(
    gate: Gate, plc: Any
) -> None:
    gate.roles["tcp"] = Role.VIEW
    for method, arguments in (
        (Ide.STARTPLC_ID, b""),
        (Ide.STOPPLC_ID, b""),
        (Ide.REPAIRPLC_ID, b""),
        (Ide.SEEDBLOB_ID, struct.pack("<I", 0)),
    ):
        plc.logged.clear()
        assert gate.plain("tcp", method, arguments) == plain_refusal(method)
        (text,) = plc.logged
        assert "has view (profile key policy.tcp, and the role of the identity)" in text
    assert plc.calls == []


def test_a_session_of_another_way_in_is_not_there(gate: Gate) -> None:
    """A number that was guessed: no reply, no call and no end of somebody else's session."""
    with gate.client("tls", "bench-1") as client:
        assert client.identity().PSK == SECRET
        sessions = gate.bench.sessions
        (session,) = sessions._sessions
        for kind, identity in (("tcp", ""), ("tls", "panel")):
            end = gate.let(kind, identity)()
            for number in range(8):
                body = envelope.encode(
                    envelope.CALL, number, session, sessions.boot_id, Ide.SERVICE_ID, 0, 0
                )
                end.write(encode_frame(body))
                (frame,) = FrameDecoder(65535, 0.1).feed(end.read(10), 0.0)
                assert envelope.decode(frame.body).status == envelope.UNKNOWN_SESSION
        assert client.status()
        assert client.link.session.sessions == 1


def test_a_viewer_traces_and_does_not_force(gate: Gate, plc: Any) -> None:
    gate.roles["tcp"] = Role.VIEW

    def order(*orders: tuple[int, bytes]) -> int:
        parts = [struct.pack("<II", index, len(force)) + force for index, force in orders]
        arguments = struct.pack("<I", len(orders)) + b"".join(parts)
        answer = gate.plain("tcp", Ide.SETTRACEVARIABLESLIST_ID, arguments)
        token: int = struct.unpack_from("<i", answer)[0]
        return token

    assert order((3, b"")) > 0
    assert order((3, b"\1\0\0\0")) == -4
    plc.forces[4] = b"\2\0\0\0"
    assert order((3, b"")) > 0
    assert plc.forces == {4: b"\2\0\0\0"}, "the list would else release what others force"
    assert order() == -5, "to look no longer is allowed"
    refused = [outcome.partition(" needs")[0] for _, outcome in gate.audited()]
    assert refused == ["to force variables"]
    gate.roles["tcp"] = Role.OPERATE
    assert order((3, b"")) > 0
    assert plc.forces == {}


@pytest.mark.parametrize(
    ("identity", "role"), [("bench-1", Role.PROGRAM), ("panel", Role.OPERATE), ("wall", Role.VIEW)]
)
def test_an_identity_has_a_role_of_its_own(gate: Gate, identity: str, role: Role) -> None:
    access = Access({}, str(gate.folder))
    assert access.role_of(Peer("tls", "there", identity)) is role
    capped = Access({"tls": Role.OPERATE}, str(gate.folder))
    assert capped.role_of(Peer("tls", "there", identity)) is min(role, Role.OPERATE)


def test_a_revoked_identity_is_refused_on_its_open_connection(gate: Gate, plc: Any) -> None:
    plc.state = Status.Stopped
    with gate.client("tls", "panel") as client:
        client.start()
        (gate.folder / FILE).write_text(OWN)
        with pytest.raises(CallRefused, match="panel was revoked"):
            client.stop()
        assert client.status().status == Status.Started


def test_a_router_may_have_names_of_its_own(gate: Gate) -> None:
    access = Access({"wamp": Role.OPERATE}, str(gate.folder))
    assert access.role_of(Peer("wamp", "there", "somebody")) is Role.OPERATE
    assert access.role_of(Peer("wamp", "there", "wall")) is Role.VIEW


def test_a_damaged_list_of_identities_lets_nobody_do_more(gate: Gate, plc: Any) -> None:
    (gate.folder / FILE).write_text("nonsense\n")
    with gate.client("tls", "panel") as client:
        client.status()
        with pytest.raises(Exception, match=rf"{FILE}, line 1"):
            client.start()
    assert plc.calls == []


# ---- the secret ----------------------------------------------------------------------------------


def test_the_line_is_told_the_secret(gate: Gate, plc: Any) -> None:
    with gate.client("serial") as client:
        found = client.identity()
    assert (found.ID, found.PSK) == ("bench-1", SECRET)
    assert plc.logged == ["the secret of bench-1 was told to there (serial)"]
    assert gate.audited() == [("GetPLCID", "done")]
    assert SECRET not in (gate.folder / "audit.log").read_text()


def test_an_ide_on_the_line_is_told_it_too(gate: Gate) -> None:
    texts = [struct.pack("<I", len(text)) + text for text in (b"bench-1", SECRET.encode())]
    assert gate.plain("serial", Ide.GETPLCID_ID) == b"".join(texts) + bytes(4)


def test_a_bridge_is_not(gate: Gate, plc: Any) -> None:
    pairing.open_window(str(gate.folder), 60)
    with (
        gate.client("serial", bridged=True) as client,
        pytest.raises(CallUnsupported, match="through a bridge"),
    ):
        client.identity()
    assert pairing.close_window(str(gate.folder)), "the window stays for the one it is for"
    assert plc.logged == []


def test_tcp_is_told_it_once_in_a_window(gate: Gate) -> None:
    with gate.client("tcp") as client:
        with pytest.raises(CallUnsupported, match="in a pairing window only"):
            client.identity()
        pairing.open_window(str(gate.folder), 60)
        assert client.identity().PSK == SECRET
        with pytest.raises(CallUnsupported, match="in a pairing window only"):
            client.identity()


@pytest.mark.parametrize("kind", ["tcp", "tls", "wamp", "pyro", "loop"])
def test_whom_nothing_is_told_gets_what_keeps_an_ide_connected(gate: Gate, kind: str) -> None:
    assert gate.plain(kind, Ide.GETPLCID_ID) == bytes(8) + struct.pack("<I", 2)


@pytest.mark.parametrize(
    ("policy", "kind", "told"),
    [
        ("serial", "serial", True),
        ("serial", "tcp", True),
        ("serial", "wamp", False),
        ("serial", "pyro", False),
        ("window", "serial", True),
        ("off", "serial", False),
        ("off", "tcp", False),
    ],
)
def test_policies_while_a_window_is_open(gate: Gate, policy: str, kind: str, told: bool) -> None:
    pairing.open_window(str(gate.folder), 60)
    access = Access({}, str(gate.folder), policy)
    if told:
        assert access.identity_for(Peer(kind, "there"), False).secret == SECRET
        return
    with pytest.raises(CallUnsupported):
        access.identity_for(Peer(kind, "there"), False)


def test_with_the_policy_window_the_line_needs_one(gate: Gate) -> None:
    access = Access({}, str(gate.folder), "window")
    with pytest.raises(CallUnsupported, match="window"):
        access.identity_for(Peer("serial", "there"), False)


def test_who_has_proven_an_identity_is_told_its_own_secret(gate: Gate) -> None:
    access = Access({}, str(gate.folder), "off")
    assert access.identity_for(Peer("tls", "there", "wall"), False).secret == SECRET + "2"
    for identity in ("", "gone"):
        with pytest.raises(CallUnsupported, match="has not proven"):
            access.identity_for(Peer("tls", "there", identity), False)


def test_a_secret_never_gives_more_than_the_way_it_was_told(gate: Gate) -> None:
    access = Access({"serial": Role.OPERATE}, str(gate.folder), "serial")
    with pytest.raises(CallUnsupported, match="exceeds"):
        access.identity_for(Peer("serial", "there"), False)


def test_a_board_without_identities_tells_nothing() -> None:
    with pytest.raises(CallUnsupported):
        Access().identity_for(Peer("serial", "there"), False)


# ---- the audit log -------------------------------------------------------------------------------


def test_what_changes_something_is_written_down_and_nothing_else(gate: Gate, plc: Any) -> None:
    plc.state = Status.Stopped
    with gate.client("tcp") as client:
        client.status()
        client.log()
        client.download(b"program")
        client.force({"VAR1": b"\1\0\0\0"})
        client.start()
        with pytest.raises(StateError):
            client.start()
    assert gate.audited() == [
        ("NewPLC", "done"),
        ("ForceVariables", "done"),
        ("StartPLC", "done"),
        ("StartPLC", "nothing to start: the PLC is not stopped"),
    ]
    rows = list(read(str(gate.folder)))
    assert [row["detail"] for row in rows] == [plc.md5, "1=01000000", "", ""]
    assert {(row["way"], row["address"], row["bridged"]) for row in rows} == {
        ("tcp", "there", False)
    }


def test_what_is_refused_for_the_role_is_written_down(gate: Gate) -> None:
    gate.roles["serial"] = Role.VIEW
    with gate.client("serial", bridged=True) as client, pytest.raises(CallRefused):
        client.download(b"program")
    ((call, outcome),) = gate.audited()
    assert call == "OpenUpload"
    assert "needs the role program" in outcome
    assert next(read(str(gate.folder)))["bridged"]


def test_forces_of_a_trace_list_are_written_down(gate: Gate) -> None:
    arguments = struct.pack("<III", 1, 7, 1) + b"\5"
    gate.plain("tcp", Ide.SETTRACEVARIABLESLIST_ID, arguments)
    assert gate.audited() == [("SetTraceVariablesList", "done")]
    assert next(read(str(gate.folder)))["detail"] == "7=05"


def test_an_error_of_ours_is_written_down_as_such(gate: Gate) -> None:
    audit = AuditLog(str(gate.folder), 1 << 16, pytest.fail)
    caller = Caller(Access(audit=audit), Peer("tcp", "there"))
    with pytest.raises(ZeroDivisionError), caller.calling(Ide.SERVICE_ID, Ide.STARTPLC_ID):
        1 / 0  # noqa: B018
    with pytest.raises(AccessDenied), caller.calling(Ide.SERVICE_ID, Ide.STARTPLC_ID):
        raise AccessDenied("no")
    audit.close()
    outcomes = [row["outcome"] for row in read(str(gate.folder))]
    assert outcomes == ["internal error: ZeroDivisionError", "no"]
