"""Who a caller is by address: the proxy's word, never the client's."""

from __future__ import annotations

from typing import Any

import pytest
import uvicorn

from core.ray_environment import ray_environment
from core.settings import Settings
from gateway.address import client_address, is_local, network_of


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not our proxy: its word counts nothing
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),  # the first is the client's tale
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "127.0.0.1"),  # somebody on this machine says so
        ("127.0.0.1", "198.51.100.1, ::1", "::/64"),
        ("127.0.0.1", "1" * 10_000, "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1, garbage", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "garbage", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        (None, "198.51.100.1", "198.51.100.1"),
        (None, None, "unknown"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", None, "203.0.113.7"),
    ],
)
def test_client_address(peer: str | None, forwarded_for: str | None, address: str) -> None:
    assert client_address(peer, forwarded_for) == address


@pytest.mark.parametrize("told", [b"198.51.100.1, 127.0.0.1", b"198.51.100.1:80", b"garbage"])
async def test_the_server_of_a_replica_believes_nobody(
    monkeypatch: pytest.MonkeyPatch, told: bytes
) -> None:
    environment = ray_environment(Settings())
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", environment["FORWARDED_ALLOW_IPS"])
    peers: list[tuple[str, int]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        peers.append(scope["client"])

    config = uvicorn.Config(app, log_config=None)
    config.load()
    peer = ("127.0.0.1", 7)
    served: Any = config.loaded_app
    await served(
        {"type": "http", "client": peer, "headers": [(b"x-forwarded-for", told)]}, None, None
    )
    assert peers == [peer]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_part_of_a_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("peer", "local"),
    [("127.0.0.1", True), ("::1", True), ("203.0.113.7", False), ("2001:db8::1", False)],
)
def test_this_machine_is_known(peer: str, local: bool) -> None:
    assert is_local(client_address(peer, None)) is local
