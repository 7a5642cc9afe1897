"""Where a request comes from."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

UNKNOWN = "unknown"
MOST_PROXIES = 5


@lru_cache(maxsize=4096)
def client_address(peer: str | None, forwarded_for: str | None) -> str:
    """The caller's address, as limits count it: an IPv4 address, or the /64 of an IPv6 one.

    `forwarded_for` (X-Forwarded-For) is believed of proxies on this machine only. Each appends
    whom it was asked by, so the last entry that is not this machine is the caller's; everything
    before it is the caller's own word.
    """
    if forwarded_for and (peer is None or _is_loopback(peer)):
        for entry in reversed(forwarded_for.split(",")[-MOST_PROXIES:]):
            address = entry.strip()
            if not _is_loopback(address):
                counted = _counted(address)
                return counted if counted != UNKNOWN else _counted(peer or "")
    return _counted(peer or "")


@lru_cache(maxsize=4096)
def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def _is_loopback(text: str) -> bool:
    address = _parse(text)
    return address is not None and address.is_loopback


@lru_cache(maxsize=4096)
def _counted(text: str) -> str:
    address = _parse(text)
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        # Whoever has one IPv6 address has the 2^64 around it too.
        prefix = int(address) >> 64 << 64
        return f"{IPv6Address(prefix)}/64"
    return str(address)
