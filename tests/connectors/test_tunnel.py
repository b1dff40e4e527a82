# SPDX-License-Identifier: MIT
"""What a carrier sees of its tunnels; as transports they are in the conformance suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from reading import LONG_S

from serial_runtime.connectors import tunnel as module
from serial_runtime.connectors.tunnel import MESSAGE_BYTES, Tunnel, TunnelListener
from serial_runtime.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError


def fill_input(tunnel: Tunnel) -> None:
    while tunnel.feed(bytes(MESSAGE_BYTES)):
        pass


def test_a_full_input_holds_up_the_carrier() -> None:
    tunnel = Tunnel("t", "wamp")
    fill_input(tunnel)
    with ThreadPoolExecutor(1) as pool:
        fed = pool.submit(tunnel.feed, b"x", LONG_S)
        data = tunnel.read(0)
        assert fed.result(LONG_S)
    assert set(data) == {0}
    assert tunnel.read(0) == b"x"


def test_a_full_output_holds_up_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WRITE_S", 0.01)
    tunnel = Tunnel("t", "wamp")
    with pytest.raises(LinkTimeout, match="not taken by the other end"):
        tunnel.write(bytes(1_000_000))
    assert len(tunnel.collect()) == MESSAGE_BYTES


def test_a_message_that_is_too_long() -> None:
    with pytest.raises(ProtocolError, match=f"at most {MESSAGE_BYTES}"):
        Tunnel("t", "wamp").feed(bytes(MESSAGE_BYTES + 1))


def test_last_words_are_collected() -> None:
    tunnel = Tunnel("t", "wamp")
    tunnel.write(b"bye")
    tunnel.close()
    assert not tunnel.is_over
    assert tunnel.collect() == b"bye"
    assert tunnel.is_over
    for call in (tunnel.collect, lambda: tunnel.feed(b"x")):
        with pytest.raises(LinkClosed, match="closed"):
            call()


def test_the_carrier_is_told_of_changes() -> None:
    tunnel, changes = Tunnel("t", "wamp"), []
    tunnel.on_change = lambda: changes.append(tunnel.is_over)
    tunnel.write(b"x")
    assert len(changes) == 1
    tunnel.feed(b"y")
    assert tunnel.read(0) == b"y"
    assert len(changes) == 2
    tunnel.hang_up("the router is gone")
    assert changes[2:] == [True]
    with pytest.raises(LinkClosed, match="the router is gone"):
        tunnel.read(0)


def test_who_is_there() -> None:
    listener = TunnelListener("a carrier", "wamp")
    channel, tunnel = listener.open("session 7", "desk")
    assert (tunnel.kind, tunnel.identity, tunnel.name) == ("wamp", "desk", "wamp session 7")
    assert listener.accept(0) is tunnel is listener.tunnel(channel)
    listener.close()
    with pytest.raises(LinkClosed, match="the runtime ends"):
        tunnel.read(0)


def test_no_such_channel() -> None:
    listener = TunnelListener("a carrier", "wamp")
    with pytest.raises(LinkClosed, match="the channel is closed"):
        listener.tunnel("guess")


def test_too_many_clients() -> None:
    listener = TunnelListener("a carrier", "wamp")
    tunnels = [listener.open("one")[1] for _ in range(64)]
    with pytest.raises(LinkError, match="64 clients"):
        listener.open("one more")
    tunnels[5].hang_up()
    listener.open("one more")


def test_a_client_that_is_not_heard_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = TunnelListener("a carrier", "wamp")
    channel, tunnel = listener.open("one")
    assert listener.accept(0) is tunnel
    monkeypatch.setattr(module, "_SILENT_S", -1.0)
    with pytest.raises(LinkTimeout):
        listener.accept(0)
    with pytest.raises(LinkClosed, match="not heard"):
        tunnel.read(0)
    with pytest.raises(LinkClosed):
        listener.tunnel(channel)
