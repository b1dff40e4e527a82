"""Generated packages imported from memory, and eRPC peers joined without a wire."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from erpc.basic_codec import BasicCodec
from erpc.client import ClientManager
from erpc.simple_server import SimpleServer
from erpc.transport import FramedTransport

from serial_codegen.idl import compile_text


class Loop(FramedTransport):
    """One end of an in-memory line; both ends keep the frames they sent."""

    def __init__(self, arrived: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.inbox = bytearray()
        self.peer: Loop = self
        self._arrived = arrived

    def _base_send(self, data: bytes) -> None:
        self.frames.append(bytes(data))
        self.peer.inbox += data
        self._arrived()

    def _base_receive(self, count: int) -> bytearray:
        data, self.inbox = self.inbox[:count], self.inbox[count:]
        return data


@pytest.fixture(scope="session")
def connect() -> Callable[[Any], tuple[ClientManager, Loop, Loop]]:
    """Give a stock client manager whose calls a stock server with this service answers at once."""

    def connect(service: Any) -> tuple[ClientManager, Loop, Loop]:
        server_end = Loop()
        server = SimpleServer(server_end, BasicCodec)
        server.add_service(service)
        client_end = Loop(server._receive_request)
        client_end.peer, server_end.peer = server_end, client_end
        return ClientManager(client_end, BasicCodec), client_end, server_end

    return connect


@pytest.fixture(scope="session")
def load() -> Iterator[Callable[[str], SimpleNamespace]]:
    """Compile IDL text and import the package; the modules are attributes."""
    numbers = itertools.count()
    loaded: list[str] = []

    def load(text: str) -> SimpleNamespace:
        package = f"generated_{next(numbers)}"
        modules = {}
        for path, code in compile_text(text, "test.erpc").items():
            name = path.split("/")[1].removesuffix(".py")
            full = package if name == "__init__" else f"{package}.{name}"
            module = modules[name] = sys.modules[full] = ModuleType(full)
            loaded.append(full)
            module.__package__ = package
            exec(compile(code, path, "exec"), vars(module))
            if name != "__init__":
                setattr(modules["__init__"], name, module)
        return SimpleNamespace(**modules)

    yield load
    for full in loaded:
        del sys.modules[full]
