"""A real HAProxy as a copy runs it: Serve's own template, started as Serve starts it, and somebody
behind it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cli.supervisor.ray_node import prepare
from core.settings import Ports, Settings
from tests.stack import FIRST_PORT

PORT = FIRST_PORT + 880
BEHIND = PORT + Ports.SPAN


def written_by_serve(folder: Path) -> str:
    """The configuration that Serve writes, with one replica at BEHIND. In a process of its own,
    because Serve reads its settings when it is imported."""
    code = f"""
from ray.serve._private import haproxy as h
from ray.serve.config import HTTPOptions
server = h.ServerConfig(name="one", host="127.0.0.1", port={BEHIND})
backend = h.BackendConfig(name="http-holdfast", path_prefix="/", app_name="holdfast",
    servers=[server])
config = h.HAProxyConfig(http_options=HTTPOptions(host="127.0.0.1", port={PORT}),
    socket_path="{folder}/admin.sock", server_state_base="{folder}",
    server_state_file="{folder}/state", has_received_routes=True, has_received_servers=True,
    metrics_port={PORT + 10}, stats_port={PORT + 11}, nbthread=1, is_head=True)
api = h.HAProxyApi(config, backend_configs={{"http-holdfast": backend}},
    config_file_path="{folder}/haproxy.cfg")
api._generate_config_file_internal()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    return (folder / "haproxy.cfg").read_text()


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that it was asked with."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answers with how much there was to read."""
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        body = json.dumps(len(self.rfile.read(int(self.headers["Content-Length"])))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        return


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    opened: list[object]
    asked: list[str]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened.append(client_address)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """HAProxy's checks hang up as soon as they know enough."""


class Running:
    """HAProxy, started as Serve starts it; `health` is what it says once it is up."""

    def __init__(
        self,
        settings: Settings,
        template: str,
        folder: Path,
        *,
        health: int = 200,
        prepared: dict[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> None:
        self._health = health
        program = (prepared or prepare(settings))["RAY_SERVE_HAPROXY_BINARY_PATH"]
        self.config = folder / "haproxy.cfg"
        self.config.write_text(template)
        self.process = subprocess.Popen([program, "-db", "-f", self.config, "-dR", *more])

    def __enter__(self) -> Running:
        deadline = time.monotonic() + 10
        while self.status("/-/healthz", port=PORT + 15) != self._health:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError("HAProxy does not run")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def status(self, path: str, *, port: int = PORT) -> int:
        try:
            return self.ask("GET", path, port=port)[0]
        except OSError:
            return 0

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, *, port: int = PORT
    ) -> tuple[int, dict[str, str], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        told = {name.lower(): value for name, value in answer.getheaders()}
        is_json = "json" in told.get("content-type", "json")
        return answer.status, told, json.loads(body) if is_json and body else body
