# SPDX-License-Identifier: MIT
"""Tells the IDEs of a network where this runtime is: Zeroconf (mDNS and DNS service discovery).

The IDE browses ``_Beremiz._tcp.local.`` and makes a URI of what it finds: the property ``protocol``
is the scheme, then the first address and the port; for a scheme that ends in S (ERPCS) it takes the
instance's name, up to its first dot, as the identity. Its URIs hold no IPv6 addresses, so only IPv4
ones are announced.

Nothing that fails here reaches the runtime: it is logged, and tried again.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from ipaddress import ip_address

from serial_runtime.errors import ConfigError
from serial_runtime.transport.optional import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PURPOSE = "announcing the runtime to IDEs"
SERVICE_TYPE = "_Beremiz._tcp.local."
_LONGEST_NAME = 63  # bytes, of a DNS label
_LOOK_S = 10.0  # at the addresses of this machine, and again after a failure
_END_S = 3.0  # saying goodbye takes 0.3 s


class Announcement:
    """One server of this runtime, announced until `close` on a thread of its own."""

    def __init__(
        self,
        addresses: Callable[[], list[str]],
        port: int,
        name: str,
        protocol: str,
        log: Callable[[str], None],
    ) -> None:
        """`addresses`: where it is reached at present, see `ipv4_addresses`; empty: nowhere yet.

        `name`: the board's ID. `log` is called on the thread.
        """
        self._addresses = addresses
        self._port = port
        self._name = name[:_LONGEST_NAME]
        self._protocol = protocol
        self._log = log
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announce", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the announcement back. Returns within 3 s, any thread."""
        self._closing.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        told = ""
        while not self._closing.is_set():
            try:
                self._announce(self._addresses())
                told = ""
            except ConfigError as error:
                self._log(str(error))
                return
            except Exception as error:
                text = f"{type(error).__name__} {error}".strip()
                if text != told:
                    self._log(f"the runtime is not announced to IDEs: {text}")
                told = text
            self._closing.wait(_LOOK_S)

    def _announce(self, addresses: list[str]) -> None:
        """Until the end, or until the machine has other addresses."""
        if not addresses:
            return
        zeroconf = need("zeroconf", "zeroconf", _PURPOSE)
        service = zeroconf.ServiceInfo(
            SERVICE_TYPE,
            f"{self._name}.{SERVICE_TYPE}",
            port=self._port,
            parsed_addresses=addresses,
            properties={"protocol": self._protocol},
        )
        with contextlib.closing(zeroconf.Zeroconf(interfaces=addresses)) as responder:
            # An identity cannot be another's; a host's name is often that of others too.
            responder.register_service(service, allow_name_change=not self._protocol.endswith("S"))
            while not self._closing.wait(_LOOK_S) and self._addresses() == addresses:
                pass


def ipv4_addresses(host: str) -> list[str]:
    """Where the network reaches a server that listens there; "" and 0.0.0.0: on all addresses.

    ConfigError: only this computer does, or no IDE does (IPv6). OSError: the name is not known.
    """
    if ":" in host:
        raise ConfigError(f"not announced to IDEs: they take no IPv6 address ({host})")
    bound = ip_address(socket.gethostbyname(host))
    if bound.is_loopback:
        raise ConfigError(f"not announced to IDEs: only this computer reaches {host}")
    if not bound.is_unspecified:
        return [str(bound)]
    ifaddr = need("ifaddr", "zeroconf", _PURPOSE)
    found = [str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [address for address in found if not ip_address(address).is_loopback]
