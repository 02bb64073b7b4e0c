"""Hosts that a manifest may lead the providers to, judged by name, and by the address that the name resolves to."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ANY_NAME: Final = "*"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Where clouds tell a machine its own credentials, beside 169.254.169.254: Azure, Alibaba, Oracle, and AWS and Google by
# IPv6.
_METADATA: Final = tuple(
    map(ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
_NAT64: Final = ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ip_network("::/96")
_THIS_NETWORK: Final = ip_network("0.0.0.0/8")


class NotAllowedError(Exception):
    """A manifest leads where it may not; nothing was sent. The text names the host and the setting."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"{host} is not asked: {why}; TIDEGATE_METRICS__HOSTS says what manifests may ask")


@dataclass(frozen=True)
class Egress:
    """Allowed hosts."""

    # With neither names nor networks: every host whose addresses are no machine's own.
    names: frozenset[str] = frozenset()  # hosts, `.internal` for all below, `*` for all
    networks: tuple[Network, ...] = ()
    trusted: frozenset[tuple[str, int]] = frozenset()  # host and port of addresses in the settings

    @classmethod
    def of(cls, hosts: Iterable[str], *, trusted: Iterable[str] = ()) -> Egress:
        """Rules from entries such as `prometheus.monitoring.svc`, `.internal`, `10.0.0.0/8`; `trusted` are URLs.

        Raises ValueError for an entry that is neither a name nor an address.
        """
        names, networks = set(), []
        for host in hosts:
            network = _network(host)
            if network is not None:
                networks.append(network)
            else:
                names.add(_checked(host))
        return cls(frozenset(names), tuple(networks), frozenset(_origin(url) for url in trusted if url))

    def judge_name(self, host: str, port: int, *, proxied: bool) -> None:
        """Reject a host by its name alone, before it is resolved. Raises NotAllowedError.

        A proxy resolves names itself, and connects: only named hosts go through one.
        """
        name = _normal(host)
        if (name, port) in self.trusted:
            return
        address = _literal(host, name)
        if address is not None:
            self._judge_literal(host, address, listed_only=proxied)
        elif (self._has_list or proxied) and not self._is_named(name):
            raise NotAllowedError(host, "it is not in the list" if self._has_list else "there is no list")

    def judge_address(self, host: str, port: int, address: Address) -> None:
        """Refuse an address that `host` leads to. Raises NotAllowedError."""
        if (_normal(host), port) not in self.trusted and not self._is_listed(address) and (kind := _kind(address)):
            raise NotAllowedError(host, f"{address} is {kind}")

    def _judge_literal(self, host: str, address: Address, *, listed_only: bool) -> None:
        if self._is_listed(address):
            return
        if kind := _kind(address):
            raise NotAllowedError(host, f"it is {kind}")
        if self._has_list or listed_only:
            raise NotAllowedError(host, "it is not in the list" if self._has_list else "there is no list")

    @property
    def _has_list(self) -> bool:
        return bool(self.names or self.networks)

    def _is_listed(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def _is_named(self, name: str) -> bool:
        parents = {name[index:] for index, letter in enumerate(name) if letter == "."}
        return bool(self.names & {ANY_NAME, name, *parents})


def _kind(address: Address) -> str:
    """The property of an address for which no manifest may name it; empty for any other."""
    inner = _inner(address)
    if inner.is_loopback:
        return "a loopback address"
    if inner.is_link_local:
        return "a link-local address, where clouds keep their credentials"
    if inner in _METADATA:
        return "an address of a cloud's metadata"
    if inner.is_unspecified or (inner.version == 4 and inner in _THIS_NETWORK):
        return "no address of a server"
    if inner.is_multicast or (inner.version == 4 and inner.is_reserved):
        return "no address of one server"
    return ""


def _inner(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address (mapped, compatible, NAT64, 6to4, Teredo), or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _literal(host: str, name: str) -> Address | None:
    """The address that a host is, in any form that a resolver takes for one: decimal, octal, short. None for a name."""
    try:
        return ip_address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        if not (last.isdigit() or last.startswith("0x")):
            return None
    try:
        return IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        raise NotAllowedError(host, "it is neither a name nor an address") from None


def _normal(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _network(entry: str) -> Network | None:
    try:
        return ip_network(entry.strip())
    except ValueError:
        return None


def _checked(entry: str) -> str:
    name = entry.strip().lower()
    labels = name.removeprefix(".").split(".")
    if name != ANY_NAME and not all(each.replace("-", "").replace("_", "").isalnum() for each in labels):
        raise ValueError(
            f"{entry!r} is neither a host, such as prometheus.monitoring.svc or .internal, nor a network, "
            "such as 10.0.0.0/8"
        )
    return name


def _origin(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return _normal(parts.hostname or ""), parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
