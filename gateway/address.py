"""Where a request comes from."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

UNKNOWN = "unknown"
MAX_LENGTH = 45  # of an address in text; longer text is no address and enters no cache
_LOCAL_NETWORK = "::/64"  # which ::1 lies in


def client_address(peer: str | None, forwarded_for: str | None) -> str:
    """The caller's address, as limits count it: an IPv4 address, or the /64 of an IPv6 one.

    `forwarded_for` (X-Forwarded-For) is believed only from the proxy on this machine, and only its
    last entry, which that proxy wrote itself: the address that called it. Earlier entries are
    claims of others, also where the last entry is this machine.
    """
    last = (forwarded_for or "").rpartition(",")[2].strip()
    return _address(peer and _short(peer), _short(last))


def _short(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else ""


@lru_cache(maxsize=4096)
def _address(peer: str | None, forwarded_for: str) -> str:
    if forwarded_for and (peer is None or _is_loopback(peer)):
        counted = _counted(forwarded_for)
        if counted != UNKNOWN:
            return counted
    return _counted(peer or "")


def network_of(address: str) -> str:
    """The network of an address that `client_address` gave, as large as one subscriber may have:
    the /24 of an IPv4 address, the /48 of an IPv6 one."""
    if address == UNKNOWN:
        return UNKNOWN
    length = 48 if ":" in address else 24
    return str(ip_network(f"{address.partition('/')[0]}/{length}", strict=False))


def is_local(address: str) -> bool:
    """Whether an address that `client_address` gave is this machine."""
    return address == _LOCAL_NETWORK or _is_loopback(address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    return _parsed(text) if len(text) <= MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def _is_loopback(text: str) -> bool:
    address = _parse(text)
    return address is not None and address.is_loopback


def _counted(text: str) -> str:
    return _counted_address(_parse(text))


@lru_cache(maxsize=4096)
def _counted_address(address: IPv4Address | IPv6Address | None) -> str:
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        # A client that has one IPv6 address has the 2^64 around it too.
        prefix = int(address) >> 64 << 64
        return f"{IPv6Address(prefix)}/64"
    return str(address)
