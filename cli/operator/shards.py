"""`holdfast shards`: who decides for which shard, and where an operator wants shards to be."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from store.hosts.leases import Shard
    from store.hosts.wishes import Held, HostState

app = typer.Typer(
    no_args_is_help=True, help="Who decides for which shard. Needs the database to run."
)

T = TypeVar("T")

ANYWHERE = "anywhere"
_POLL_SECONDS = 0.2
LOAD_SECONDS = 0.5

AsJson = Annotated[bool, typer.Option("--json", help="For machines")]
Wait = Annotated[
    float, typer.Option(min=0, max=600, help="How many seconds to wait until it has happened")
]


class Impossible(Exception):
    """What is asked for cannot be done; the message says why."""


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """Show hosts and shards: family, shard, host, build, machine, process, epoch, lease; and how
    much of a core each host of this machine uses at the moment."""

    async def work(database: Any) -> tuple[Sequence[HostState], Sequence[Held]]:
        from store.hosts import wishes

        return await wishes.hosts(database), await wishes.held(database)

    hosts, shards = _run(work)
    loads = _loads(hosts)
    if as_json:
        plain = [row | {"cpu_percent": loads.get(row["pid"])} for row in _plain(hosts)]
        typer.echo(json.dumps({"hosts": plain, "shards": _plain(shards)}, default=_json))
    else:
        typer.echo("\n".join([*_hosts_table(hosts, loads), "", *_shards_table(shards)]))


@app.command()
def move(
    shard: Annotated[str, typer.Argument(help="Such as commerce/17")],
    host: Annotated[str, typer.Argument(help="A host's name; `anywhere` ends the wish")],
    wait: Wait = 30.0,
    as_json: AsJson = False,
) -> None:
    """Move a shard to a host, where it stays for as long as that may have shards.

    The keeper does it, by an ordinary hand-over. Ends with 1 if it has not happened in time; the
    wish stands all the same.
    """

    async def work(database: Any) -> bool:
        from store.hosts import wishes

        wanted = _parsed(shard)
        if not any(wanted == (held.family, held.shard) for held in await wishes.held(database)):
            raise Impossible(f"there is no shard {shard}")
        if host == ANYWHERE:
            await wishes.unpin(database, wanted)
            return True
        _usable(await wishes.hosts(database), host)
        await wishes.pin(database, wanted, host)

        async def arrived() -> bool:
            return any(
                wanted == (held.family, held.shard) and held.host == host
                for held in await wishes.held(database)
            )

        return await _until(arrived, wait)

    _tell(_run(work), f"{shard} is at {host}", f"{shard} is not at {host} yet", as_json)


@app.command()
def drain(
    host: Annotated[str, typer.Argument(help="A host's name, as `list` shows it")],
    undo: Annotated[bool, typer.Option("--undo", help="Let it have shards again")] = False,
    wait: Wait = 60.0,
    as_json: AsJson = False,
) -> None:
    """Have a host give all its shards away; it gets none until `--undo`.

    Ends with 1 if it has not happened in time; the wish stands all the same.
    """

    async def work(database: Any) -> bool:
        from store.hosts import wishes

        if undo:
            await wishes.fill(database, host)
            return True
        hosts = await wishes.hosts(database)
        if host not in [known.name for known in hosts]:
            raise Impossible(f"there is no host {host}")
        if not any(other.name != host and not other.is_drained for other in hosts):
            raise Impossible(f"nobody but {host} could have its shards")
        await wishes.drain(database, host)

        async def empty() -> bool:
            now = {seen.name: seen for seen in await wishes.hosts(database)}
            return host not in now or not now[host].shards

        return await _until(empty, wait)

    done = f"{host} may have shards again" if undo else f"{host} has no shards"
    _tell(_run(work), done, f"{host} still has shards", as_json)


def _usable(hosts: Sequence[HostState], name: str) -> None:
    known = {seen.name: seen for seen in hosts}
    if name not in known:
        raise Impossible(f"there is no host {name}; there are {', '.join(known) or 'none'}")
    if known[name].is_drained:
        raise Impossible(f"{name} is drained; `holdfast shards drain {name} --undo` ends that")


def _parsed(shard: str) -> Shard:
    from store.hosts.leases import Shard

    family, slash, number = shard.partition("/")
    if not slash or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise Impossible(f"{shard!r} names no shard; one looks like commerce/17")
    return Shard(family, int(number))


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await condition():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _run(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Gives `work` the database. Ends the command if it cannot be reached or refuses."""
    from core.errors import Unavailable
    from core.settings import get_settings
    from store.hosts.wishes import operator

    async def connected() -> T:
        async with operator(get_settings().host_database_url) as database:
            return await work(database)

    try:
        return asyncio.run(connected())
    except Impossible as error:
        typer.echo(f"holdfast: {error}", err=True)
    except Unavailable:
        typer.echo("holdfast: the database cannot be reached", err=True)
    raise typer.Exit(1)


def _tell(is_done: bool, done: str, not_yet: str, as_json: bool) -> None:
    told = done if is_done else not_yet
    typer.echo(json.dumps({"done": is_done, "detail": told}) if as_json else f"{told}.")
    if not is_done:
        raise typer.Exit(1)


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


def _json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))


def _loads(hosts: Sequence[HostState]) -> dict[int, float]:
    """Percent of a core by process id, over LOAD_SECONDS, of those that run on this machine."""
    import psutil

    from actors.runtime.upkeep import machine_id

    here = [host.pid for host in hosts if host.machine == machine_id()]
    processes = []
    for pid in here:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            process.cpu_percent()
            processes.append(process)
    if processes:
        time.sleep(LOAD_SECONDS)
    loads = {}
    for process in processes:
        with suppress(psutil.Error):
            loads[process.pid] = process.cpu_percent()
    return loads


def _hosts_table(hosts: Sequence[HostState], loads: Mapping[int, float]) -> list[str]:
    rows = [
        (
            host.name,
            host.build,
            host.machine,
            host.pid,
            host.shards,
            f"{loads[host.pid]:.0f} %" if host.pid in loads else "",
            "drained" if host.is_drained else "",
        )
        for host in hosts
    ]
    return _table(("HOST", "BUILD", "MACHINE", "PID", "SHARDS", "CPU", ""), rows)


def _shards_table(shards: Sequence[Held]) -> list[str]:
    rows = [
        (
            f"{shard.family}/{shard.shard}",
            shard.host or "nobody",
            shard.build or "",
            shard.pid or "",
            shard.epoch,
            _lease(shard),
            f"pinned to {shard.pinned_to}" if shard.pinned_to else "",
        )
        for shard in shards
    ]
    return _table(("SHARD", "HOST", "BUILD", "PID", "EPOCH", "LEASE", ""), rows)


def _lease(shard: Held) -> str:
    if shard.expires_at is None:
        return "none"
    if not shard.is_valid:
        return "over"
    return f"{max((shard.expires_at - datetime.now(UTC)).total_seconds(), 0):.1f} s"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
