"""Stands in HAProxy's place: fits the configuration that Serve wrote to this copy, and becomes it.

Serve writes HAProxy's configuration from a template and starts the program that we name with it.
That program is this file, run by a bare interpreter before each start and each reload of HAProxy:
it imports nothing but the standard library, and what it must know lies in a file beside it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# A replica whose loop is busy is not dead: a dead one refuses connections, and other mechanisms end
# one that hangs.
CHECK_TIMEOUT_SECONDS = 10
# Places that are not for the API's callers: the supervisor's probe must not wait behind them.
RESERVED_CONNECTIONS = 50
# One address may take the third part of the places; once three fourths of all are taken, the
# fiftieth part: a caller with a few connections then still finds a place, however few addresses
# have the most.
ADDRESSES = 3
LATE_ADDRESSES = 50
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE"

# Connections to replicas are kept while there are files for them. By default HAProxy closes those
# that are idle once it uses a fourth: with 2,000 callers it made one for every other request.
_KEPT = ["    tune.pool-low-fd-ratio 60", "    tune.pool-high-fd-ratio 80"]

_FITTED = "# Fitted to this copy by cli/supervisor/front_door.py."


class Door(NamedTuple):
    """`host` and `port` are where the API listens, `host` None where Serve is to decide.
    `head_timeout_seconds` bounds the time for a request's head, and then for its body, or for the
    beginning of a large one. `trusted`: addresses and networks of proxies in front whose
    X-Forwarded-For is believed. `pages`: files with HAProxy's own answers, by status."""

    binary: str
    host: str | None
    port: int
    probe_port: int
    max_connections: int
    head_timeout_seconds: int
    trusted: Sequence[str]
    pages: Mapping[str, str]


class Section(NamedTuple):
    """`title` is the line that opens it, such as `frontend http_frontend`."""

    title: str
    lines: list[str]


def fitted(config: str, door: Door) -> str:
    """Serve's configuration with all that its template has no place for. A configuration that was
    fitted before stays as it is."""
    if config.startswith(_FITTED):
        return config
    sections = _sections(config)
    probe: list[Section] = []
    for section in sections:
        match section.title:
            case "global":
                section.lines[:] = [*section.lines, *_KEPT]
            case "defaults":
                section.lines[:] = _defaults(section.lines, door)
            case "frontend prometheus" | "listen stats":
                section.lines[:] = [_on_loopback(line) for line in section.lines]
            case "frontend http_frontend":
                probe.append(_probe(section.lines, door))
                section.lines[:] = _front(section.lines, door)
            case "backend default_backend":
                # The whole API is at "/": only a HAProxy that has just been started, and knows no
                # replica yet, finds no backend for a path. A 404 would not be true then.
                section.lines[:] = ["    http-request deny deny_status 503"]
    lines = (line for section in (*sections, *probe) for line in (section.title, *section.lines))
    return "".join(f"{line}\n" for line in (_FITTED, *lines))


def _sections(config: str) -> list[Section]:
    sections: list[Section] = []
    for line in config.splitlines():
        if line.strip() and not line[0].isspace():
            sections.append(Section(line.strip(), []))
        elif line.strip() and sections:
            sections[-1].lines.append(line)
    return sections


def _defaults(lines: Sequence[str], door: Door) -> list[str]:
    """Serve has one page for 502, 503 and 504, in plain text; ours say what to do."""
    return [
        *(line for line in lines if not line.lstrip().startswith("errorfile ")),
        # A connection of HTTP/2 brings a hundred requests at a time, each with a buffer of its own,
        # and takes one place: places are counted by connections.
        "    option disable-h2-upgrade",
        f"    timeout http-request {door.head_timeout_seconds}s",
        f"    timeout check {CHECK_TIMEOUT_SECONDS}s",
        *(f"    errorfile {status} {path}" for status, path in door.pages.items()),
    ]


def _on_loopback(line: str) -> str:
    words = line.split()
    if words[:1] != ["bind"]:
        return line
    return f"    bind 127.0.0.1:{words[1].rpartition(':')[2]}"


def _front(lines: Sequence[str], door: Door) -> list[str]:
    """The API's own frontend."""
    host = f"[{door.host}]" if ":" in (door.host or "") else door.host
    places = door.max_connections - RESERVED_CONNECTIONS
    fronted = [
        f"    maxconn {places}",
        "    stick-table type ipv6 size 100k expire 1m store conn_cur",
        "    tcp-request connection track-sc0 src,ipmask(32,64)",
        f"    tcp-request connection reject if {{ sc0_conn_cur gt {places // ADDRESSES} }}",
        f"    tcp-request connection reject if {{ fe_conn gt {places * 3 // 4} }}"
        f" {{ sc0_conn_cur gt {max(1, places // LATE_ADDRESSES)} }}",
        # To upgrades, and methods that its parser does not know, a replica would answer in plain
        # text.
        f"    http-request deny deny_status 405 unless {{ method {METHODS} }}",
        "    http-request del-header Upgrade",
        "    http-request deny deny_status 400 unless { path_beg / }",
        # A replica sees no request before its body is there, or as much of it as a buffer holds: a
        # caller that stalls takes a place here, of which there are many, and none of the few in
        # there.
        f"    http-request wait-for-body time {door.head_timeout_seconds}s",
        *_caller(door.trusted),
        # Ready means that all of the API can be answered: no application is without a replica.
        *(
            f"    http-request deny deny_status 503 if {{ path /ready }} {{ nbsrv({name}) lt 1 }}"
            for name in _backends(lines)
        ),
        "    http-response del-header Server",
    ]
    result = []
    for line in lines:
        if line.split()[:1] == ["bind"]:
            result.append(f"    bind {host}:{door.port}" if host else line)
            result += fronted
        else:
            result.append(line)
    return result


def _backends(lines: Sequence[str]) -> list[str]:
    return [words[1] for words in map(str.split, lines) if words[:1] == ["use_backend"]]


def _caller(trusted: Sequence[str]) -> list[str]:
    """Exactly one X-Forwarded-For reaches a replica: the address that called us, or the one that a
    trusted proxy says called it. Anything else that a caller wrote there is removed."""
    told = "    http-request set-header X-Forwarded-For"
    if not trusted:
        return [f"{told} %[src]"]
    proxy = f"{{ src {' '.join(trusted)} }} {{ req.hdr(X-Forwarded-For) -m found }}"
    return [
        f"    http-request set-var(txn.caller) src if !{{ src {' '.join(trusted)} }}",
        "    http-request set-var(txn.caller) src unless { req.hdr(X-Forwarded-For) -m found }",
        f"    http-request set-var(txn.caller) req.hdr(X-Forwarded-For,-1) if {proxy}",
        f"{told} %[var(txn.caller)]",
    ]


def _probe(lines: Sequence[str], door: Door) -> Section:
    """A frontend for the supervisor alone, with Serve's own rules about health."""
    rules = [line for line in lines if "healthcheck" in line or "_server_up nbsrv(" in line]
    return Section("frontend probe", [f"    bind 127.0.0.1:{door.probe_port}", *rules])


def stand_in(config: str, door: Door) -> str:
    """The configuration for a HAProxy that takes the place of a dead one: without the state and the
    admin socket of that one, by which Serve recognizes its own. Serve may just have written the
    configuration anew, so that it is not fitted yet."""
    own = ("stats socket", "stats timeout", "server-state-", "load-server-state-")
    whole = fitted(config, door).splitlines()
    lines = (line for line in whole if not line.strip().startswith(own))
    return "".join(f"{line}\n" for line in lines)


def outgoing_file(folder: Path) -> Path:
    """The file with the pids of the HAProxies that serve until another one can, parted by
    spaces."""
    return folder / "outgoing.pids"


def _outgoing(folder: Path) -> list[str]:
    try:
        pids = outgoing_file(folder).read_text().split()
    except OSError:
        return []
    return [pid for pid in pids if _is_haproxy(pid, folder)]


def _is_haproxy(pid: str, folder: Path) -> bool:
    try:
        return os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _answers_all(config: str) -> bool:
    """Whether the configuration has a route for all of the API, and a server for it."""
    lines = [line.split() for line in config.splitlines()]
    is_whole = any(words[-2:] == ["path", "/"] for words in lines)
    return is_whole and any(words[:1] == ["server"] for words in lines)


def waiting(config: str) -> str:
    """The configuration for a HAProxy that cannot answer anything yet, while another one does: it
    listens on its admin socket alone, for Serve."""
    lines = config.splitlines(keepends=True)
    return "".join(line for line in lines if line.split()[:1] != ["bind"])


def relieving(arguments: Sequence[str], outgoing: Sequence[str]) -> list[str]:
    """HAProxy's arguments, with which it also takes over from `outgoing`."""
    if not outgoing:
        return list(arguments)
    if "-sf" not in arguments:
        return [*arguments, "-sf", *outgoing]
    behind = arguments.index("-sf") + 1
    return [*arguments[:behind], *outgoing, *arguments[behind:]]


def read_door(path: Path) -> Door:
    return Door(**json.loads(path.read_text()))


def main(arguments: Sequence[str]) -> None:
    """`front_door.py DOOR -db -f CONFIGURATION ...`: DOOR is the file with a Door in JSON."""
    path, *arguments = arguments
    door, folder = read_door(Path(path)), Path(path).parent
    config = Path(arguments[2])
    ours = fitted(config.read_text(), door)
    draft = config.with_suffix(".fitted")
    draft.write_text(ours)
    draft.replace(config)
    outgoing = _outgoing(folder)
    if outgoing and not _answers_all(ours):
        arguments[2] = str(config.with_name("waiting.cfg"))
        Path(arguments[2]).write_text(waiting(ours))
    else:
        arguments = relieving(arguments, outgoing)
        outgoing_file(folder).unlink(missing_ok=True)
    os.execv(door.binary, [door.binary, *arguments])  # noqa: S606 - HAProxy, and no shell


if __name__ == "__main__":
    main(sys.argv[1:])
