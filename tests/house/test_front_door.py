"""HAProxy fitted to a copy: Serve's own template, a real HAProxy, and somebody behind it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from cli.supervisor import front_door
from cli.supervisor.front_door import Door, fitted
from cli.supervisor.ray_node import prepare
from core.ray_environment import haproxy_dir
from core.settings import Settings
from gateway.bodies import SMALL_BODY_BYTES
from tests.house.haproxy import BEHIND, PORT, Running
from tests.waiting import comes_true


def test_one_forwarded_for_arrives_whatever_a_caller_says(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    with Running(home, template, tmp_path) as haproxy:
        said = {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"}
        _, answered, asked = haproxy.ask("GET", "/", said)
        assert [value for name, value in asked if name == "x-forwarded-for"] == ["127.0.0.1"]
        assert "server" not in answered
    trusting = home.model_copy(update={"trusted_proxies": "192.0.2.1 127.0.0.0/8"})
    with Running(trusting, template, tmp_path) as haproxy:
        _, _, asked = haproxy.ask("GET", "/", {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})
        assert [value for name, value in asked if name == "x-forwarded-for"] == ["203.0.113.7"]
        _, _, asked = haproxy.ask("GET", "/")
        assert [value for name, value in asked if name == "x-forwarded-for"] == ["127.0.0.1"]


def test_no_upgrade_reaches_a_replica(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    """It would be answered there in plain text."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with Running(home, template, tmp_path) as haproxy:
        status, _, asked = haproxy.ask("GET", "/", upgrade)
        assert status == 200
        assert "upgrade" not in dict(asked)


def test_a_connection_brings_one_request_at_a_time(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    """HTTP/2, which a hundred share one with, is not spoken, not even with a client that begins
    with it unasked."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    with Running(home, template, tmp_path):
        for port in (PORT, PORT + 15):
            assert _raw(preface, port=port).startswith(b"HTTP/1.1 400 ")


def test_its_own_answers_are_problems(home: Settings, template: str, tmp_path: Path) -> None:
    with Running(home, template, tmp_path, health=503) as haproxy:
        # Nobody is behind it here.
        status, headers, problem = haproxy.ask("GET", "/api/secret-path")
        assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")
        assert headers["content-type"] == "application/problem+json"
        assert "secret-path" not in json.dumps(problem)
        tunnel = _raw(b"CONNECT example.com:443 HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert tunnel.startswith(b"HTTP/1.1 405 ")
        assert b'"method_not_allowed"' in tunnel
        assert haproxy.ask("BREW", "/")[2]["code"] == "method_not_allowed"
        status, headers, problem = haproxy.ask("GET", "*")
        assert (status, problem["code"]) == (400, "bad_request")
    unknown = template.replace("path_beg /", "path_beg /x").replace(
        "acl is_http-holdfast path /", "acl is_http-holdfast path /x"
    )
    with Running(home, unknown, tmp_path, health=503) as haproxy:
        status, headers, problem = haproxy.ask("GET", "/api/secret-path")
        assert (status, headers["retry-after"], problem["code"]) == (503, "1", "unavailable")
        assert "secret-path" not in json.dumps(problem)


def test_who_trickles_takes_a_share_and_not_for_long(
    home: Settings, template: str, tmp_path: Path, behind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many connections as one address may have, none of which ever ends a request's head."""
    monkeypatch.setattr("cli.supervisor.ray_node.max_connections", lambda: 350)
    monkeypatch.setattr("cli.supervisor.ray_node._HEAD_TIMEOUT_SECONDS", 2)
    share = (350 - front_door.RESERVED_CONNECTIONS) // front_door.ADDRESSES

    with Running(home, template, tmp_path) as haproxy:
        trickling = [one for _ in range(share + 20) if (one := _trickle())]
        try:
            # Beyond its share it is let in no more; the probe is not kept waiting by that.
            assert haproxy.status("/") == 0
            assert haproxy.status("/-/healthz", port=PORT + 15) == 200
            assert sum(not _is_closed(connection) for connection in trickling) == share
            for connection in trickling[:10]:
                _drip(connection)
            assert comes_true(lambda: haproxy.status("/") == 200), "the time-out gives it back"
        finally:
            for connection in trickling:
                connection.close()


def test_who_comes_with_little_finds_a_place_however_much_a_few_have(
    home: Settings, template: str, tmp_path: Path, behind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four addresses, each with as many connections as it gets."""
    monkeypatch.setattr("cli.supervisor.ray_node.max_connections", lambda: 350)
    places = 350 - front_door.RESERVED_CONNECTIONS
    with Running(home, template, tmp_path) as haproxy, ExitStack() as stack:
        for last in range(2, 6):
            for _ in range(places // front_door.ADDRESSES + 5):
                if one := _trickle(f"127.0.0.{last}"):
                    stack.enter_context(one)
        # One less, and one more: of who has just hung up that may not be known yet.
        for _ in range(places // front_door.LATE_ADDRESSES - 2):
            assert haproxy.status("/") == 200
            one = _trickle()
            assert one is not None
            stack.enter_context(one)


def test_a_body_that_stalls_reaches_nobody(
    home: Settings,
    template: str,
    tmp_path: Path,
    behind: None,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli.supervisor.ray_node._HEAD_TIMEOUT_SECONDS", 1)
    post = b"POST /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%b\r\n%b"
    with Running(home, template, tmp_path):
        late = _raw(post % (b"stalls", SMALL_BODY_BYTES, b"", b"x" * 10))
        assert late.startswith(b"HTTP/1.1 408 ")
        assert b'"body_too_late"' in late
        almost = b"x" * (SMALL_BODY_BYTES - 1)
        head = b"Authorization: Bearer " + b"t" * 1_500 + b"\r\n"
        assert b" 408 " in _raw(post % (b"stalls", SMALL_BODY_BYTES, head, almost))
        assert asked == []
        whole = post % (b"whole", SMALL_BODY_BYTES, head, almost + b"x")
        assert _raw(whole).endswith(b"%d" % SMALL_BODY_BYTES)
        # What no buffer holds is passed on as it comes, and may take its time.
        with socket.create_connection(("127.0.0.1", PORT), timeout=5) as connection:
            expects = b"Expect: 100-continue\r\n"
            connection.sendall(post % (b"large", 40_000, expects, b"x" * 30_000))
            assert comes_true(lambda: asked == ["/whole", "/large"])
            time.sleep(1.2)
            connection.sendall(b"x" * 10_000)
            with connection.makefile("rb") as answer:
                assert answer.read().endswith(b"40000")


def test_connections_to_replicas_are_kept_under_many_callers(
    home: Settings,
    template: str,
    tmp_path: Path,
    behind: None,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[object],
) -> None:
    """Each caller asks again and again; a replica sees hardly more connections than callers."""
    monkeypatch.setattr("cli.supervisor.ray_node.max_connections", lambda: 350)
    small = re.sub(r"(?m)^    maxconn .*$", "    maxconn 350", template, count=1)

    def opened_for_callers() -> int:
        with Running(home, small, tmp_path), ExitStack() as stack:
            callers = [
                http.client.HTTPConnection("127.0.0.1", PORT, source_address=(f"127.0.0.{n}", 0))
                for n in range(1, 52)
                for _ in range(5)
            ]
            for caller in callers:
                stack.callback(caller.close)
            opened.clear()
            for _ in range(4):
                for caller in callers:
                    caller.request("GET", "/")
                for caller in callers:
                    caller.getresponse().read()
            return len(opened)

    kept = opened_for_callers()
    assert kept < 255 * 1.2, "as many as were busy at once, and HAProxy's checks"


def test_only_the_apis_port_is_open_to_others(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    everywhere = home.model_copy(update={"host": "0.0.0.0"})
    with Running(everywhere, template, tmp_path) as haproxy:
        bound = [
            words[1]
            for words in map(str.split, haproxy.config.read_text().splitlines())
            if words[:1] == ["bind"]
        ]
    local = {f"127.0.0.1:{PORT + n}" for n in (10, 11, 15)}
    assert set(bound) == {f"0.0.0.0:{PORT}"} | local
    assert {f"127.0.0.1:{PORT}"} | local == _binds(template, _door(home, "127.0.0.1"))
    assert {f"[::]:{PORT}"} | local == _binds(template, _door(home, "::"))
    assert {f"127.0.0.1:{PORT}"} | local == _binds(template, _door(home, None))


def test_it_is_ready_when_every_application_has_a_replica(
    home: Settings, template: str, tmp_path: Path, behind: None
) -> None:
    with Running(home, template, tmp_path) as haproxy:
        assert haproxy.status("/ready") == 200
    found = template.index("\nbackend http-holdfast") + 1
    nobody = template[found:].replace("http-holdfast", "http-inventory")
    nobody = nobody[: nobody.index("listen stats")].replace(str(BEHIND), str(BEHIND + 1))
    split = template[:found] + nobody + template[found:]
    rule = "    use_backend http-inventory if { path_beg /api/inventory }\n"
    split = split.replace("    default_backend ", f"{rule}    default_backend ")
    with Running(home, split, tmp_path) as haproxy:
        assert haproxy.status("/api/products") == 200
        assert comes_true(lambda: haproxy.status("/ready") == 503)


def test_what_is_fitted_stays_as_it_is(home: Settings, template: str) -> None:
    door = _door(home, "127.0.0.1")
    once = fitted(template, door)
    assert fitted(once, door) == once


def _door(home: Settings, host: str | None) -> Door:
    prepare(home)
    door = Door(**json.loads((haproxy_dir(home) / "door.json").read_text()))
    return door._replace(host=host)


def _binds(template: str, door: Door) -> set[str]:
    lines = map(str.split, fitted(template, door).splitlines())
    return {words[1] for words in lines if words[:1] == ["bind"]}


def _raw(request: bytes, *, port: int = PORT) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answer:
            return answer.read()


def _trickle(source: str = "127.0.0.1") -> socket.socket | None:
    """A connection with half of a head; None if it was refused at once."""
    try:
        connection = socket.create_connection(
            ("127.0.0.1", PORT), timeout=5, source_address=(source, 0)
        )
    except ConnectionError:
        return None
    _drip(connection, b"GET / HTTP/1.1\r\nHost: x\r\n")
    return connection


def _drip(connection: socket.socket, drop: bytes = b"X-Slow: yes\r\n") -> None:
    with suppress(ConnectionError):
        connection.sendall(drop)


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
