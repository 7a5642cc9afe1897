"""`holdfast doctor`: what is wrong with a copy, and what to do about it. It changes nothing, shows
no secret, and works while nothing else does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping

from cli.operator.finding import Finding
from cli.operator.findings_of_events import of_consumers, of_outbox
from cli.supervisor.restarts import restarts
from core.database_url import without_secrets
from core.errors import Unavailable
from core.settings import Settings
from store.doctor import books, drift, health
from store.doctor.health import Connection, asked
from store.kit import reached, servers
from store.kit.budget import CONNECTIONS_PER_REPLICA, connections_needed
from store.kit.redis import Redis, RedisUnavailable

MAX_KEEPER_SILENCE_SECONDS = 10
_ALMOST_FULL = 0.9
_MANY_RESTARTS = 5


def exit_status(findings: Iterable[Finding]) -> int:
    """0: all is well; 1: something is wrong; 2: nothing seen is wrong, but not all was seen."""
    verdicts = {finding.verdict for finding in findings}
    return 1 if "wrong" in verdicts else 2 if "unknown" in verdicts else 0


def as_lines(findings: Iterable[Finding]) -> list[str]:
    """For people."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.verdict:8}{finding.subject}: {finding.said}")
        if finding.advice:
            lines.append(f"{'':8}-> {finding.advice}")
    return lines


def as_json(findings: list[Finding]) -> str:
    """For machines."""
    told = [finding._asdict() for finding in findings]
    return json.dumps({"status": exit_status(findings), "findings": told}, indent=2)


async def examine(settings: Settings, *, deep: bool) -> list[Finding]:
    """Everything, in the order in which a person would ask. `deep` adds up whole ledgers."""
    found = await _server(settings)
    if found[0].verdict != "unknown":
        found += await _each(settings.owner_database_url, _of_server(settings))
        found += await _each(settings.host_database_url, _of_data(settings, deep), deep=deep)
    return [*found, await _redis(settings), *_supervisor(settings)]


Check = tuple[str, Callable[[Connection], Awaitable[list[Finding]]]]


async def _each(url: str, checks: list[Check], *, deep: bool = False) -> list[Finding]:
    """Each on a connection of its own: what one cannot find out is no loss to the others."""
    limit = health.DEEP_TIMEOUT_SECONDS if deep else health.STATEMENT_TIMEOUT_SECONDS
    found = []
    for subject, check in checks:
        try:
            async with asked(url, limit) as connection:
                found += await check(connection)
        except Unavailable as error:
            found.append(Finding(subject, "unknown", error.detail))
    return found


async def _server(settings: Settings) -> list[Finding]:
    where = without_secrets(settings.owner_database_url)
    try:
        server = await servers.look_or_fail(settings.owner_database_url)
    except servers.UnusableServer as error:
        return [Finding("Postgres", "wrong", str(error))]
    except Unavailable as error:
        advice = "Start it, or correct DATABASE_URL; without it Holdfast serves nothing."
        return [Finding("Postgres", "unknown", f"{where}: {error.detail}", advice)]
    version = server.settings["server_version"]
    found = [Finding("Postgres", "well", f"PostgreSQL {version} at {where}")]
    if fault := servers.why_unusable(server):
        found = [Finding("Postgres", "wrong", fault)]
    found += list(_settings(server.settings))
    if short := servers.what_is_short(server, settings):
        found.append(Finding("connection budget", "wrong", short))
    return found


_VOIDS = {
    "fsync": "A crash of the machine may lose what was acknowledged, and the database with it.",
    "full_page_writes": "A crash of the machine may leave pages that are half old and half new.",
    "synchronous_commit": "A client that does not ask for better, as Holdfast's own connections do,"
    " may lose what it was told is done.",
}


def _settings(settings: Mapping[str, str]) -> Iterable[Finding]:
    for name, harm in _VOIDS.items():
        value = settings[name]
        if value in ("off", "local"):
            advice = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield Finding(name, "wrong", f"{name} is {value}. {harm}", advice)
        else:
            yield Finding(name, "well", value)
    if settings["transaction_read_only"] == "on":
        yield Finding(
            "writes",
            "wrong",
            "The server takes no writes: it follows another one, or was set read-only.",
            "Let DATABASE_URL name the primary, or see why default_transaction_read_only is on"
            " (a full disk, at some providers).",
        )


def _of_server(settings: Settings) -> list[Check]:
    async def schema(connection: Connection) -> list[Finding]:
        return [_of_schema(await reached.current(connection))]

    async def durability(connection: Connection) -> list[Finding]:
        return [
            Finding(
                "synchronous_commit",
                "wrong",
                f"It is set lower for {whom}. Holdfast's own connections ask for on.",
                "ALTER ROLE ... RESET synchronous_commit, or ALTER DATABASE ...",
            )
            for whom in await health.weaker_roles(connection)
        ]

    async def standbys(connection: Connection) -> list[Finding]:
        named = await connection.fetchval("SHOW synchronous_standby_names")
        return [_of_standbys(await health.standbys(connection), named)]

    async def sessions(connection: Connection) -> list[Finding]:
        return [_of_sessions(settings, await health.sessions(connection), await _most(connection))]

    async def rights(connection: Connection) -> list[Finding]:
        right = await servers.hosts_lack(connection)
        if right is None:
            return [Finding("hosts' rights", "well", "They may commit.")]
        told = "Hosts may not make the function by which they commit: they write nothing."
        return [Finding("hosts' rights", "wrong", told, f"{right};")]

    async def transactions(connection: Connection) -> list[Finding]:
        return _of_forgotten(await health.forgotten(connection))

    return [
        ("schema", schema),
        ("synchronous_commit", durability),
        ("standbys", standbys),
        ("connections", sessions),
        ("hosts' rights", rights),
        ("open transactions", transactions),
    ]


def _of_schema(found: str | None) -> Finding:
    if not reached.is_below(found):
        return Finding("schema", "well", f"It is at migration {found}.")
    return Finding(
        "schema",
        "wrong",
        reached.older_than(reached.HEAD, found),
        "`holdfast deploy` where it runs; else `holdfast up` or `holdfast migrate`.",
    )


async def _most(connection: Connection) -> int:
    return int(await connection.fetchval("SHOW max_connections"))


def _of_standbys(found: list[health.Standby], named: str) -> Finding:
    if not named:
        if not found:
            return Finding("standbys", "well", "There is none.")
        names = ", ".join(standby.name for standby in found)
        return Finding(
            "standbys",
            "wrong",
            f"{names} follow asynchronously: were one to take over, it might lack what was"
            " acknowledged.",
            f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({names})'; SELECT"
            " pg_reload_conf();",
        )
    if any(standby.mode in ("sync", "quorum") for standby in found):
        return Finding("standbys", "well", f"{len(found)} follow; commits wait for {named}.")
    return Finding(
        "standbys",
        "wrong",
        f"Commits wait for {named}, and no such standby follows: nothing can be acknowledged.",
        "Start the standby, or name another in synchronous_standby_names.",
    )


def _of_sessions(settings: Settings, seen: health.Sessions, most: int) -> Finding:
    said = f"{seen.used} of {most} are used, {seen.used_by_app} of them by replicas"
    if seen.used >= most * _ALMOST_FULL:
        return Finding(
            "connections",
            "wrong",
            f"{said}: there is hardly room for another one.",
            f"See in pg_stat_activity who has them; Holdfast needs {connections_needed(settings)}.",
        )
    if seen.app_limit == -1:
        return Finding(
            "connections",
            "wrong",
            f"{said}. Replicas are not limited, so that hosts may find no room.",
            "`holdfast migrate` sets the limit, if the schema's owner may.",
        )
    wanted = settings.replicas * CONNECTIONS_PER_REPLICA
    return Finding(
        "connections", "well", f"{said}, who may take {seen.app_limit} and want {wanted} at most."
    )


def _of_forgotten(found: list[health.Forgotten]) -> list[Finding]:
    if not found:
        return [Finding("open transactions", "well", "None is open for long.")]
    return [
        Finding(
            "open transactions",
            "wrong",
            f"{session.name} (pid {session.pid}) has kept one open for {session.seconds} s:"
            " its locks make others wait, nothing that was deleted since can be cleaned up, and if"
            " it has written anything consumers wait with what was emitted since.",
            f"If nobody needs it: SELECT pg_terminate_backend({session.pid});",
        )
        for session in found
    ]


def _of_data(settings: Settings, deep: bool) -> list[Check]:
    async def leases(connection: Connection) -> list[Finding]:
        return _of_leases(await health.leases(connection))

    async def outbox(connection: Connection) -> list[Finding]:
        return [of_outbox(await health.oldest_event_seconds(connection))]

    async def consumers(connection: Connection) -> list[Finding]:
        return of_consumers(await health.consumers(connection))

    async def holds(connection: Connection) -> list[Finding]:
        return [_of_holds(await health.overdue_holds(connection))]

    async def stock(connection: Connection) -> list[Finding]:
        if deep:
            return _of_drift(await drift.differences(settings.host_database_url))
        found = await books.levels(connection)
        return _of_books("stock", found, "`holdfast drift --repair` brings it back.")

    async def cards(connection: Connection) -> list[Finding]:
        found = await books.gift_cards(connection, deep=deep)
        return _of_books("gift cards", found, _KEEP_EVIDENCE)

    async def drawers(connection: Connection) -> list[Finding]:
        found = await books.drawers(connection, deep=deep)
        return _of_books("drawers", found, _KEEP_EVIDENCE)

    return [
        ("leases", leases),
        ("outbox", outbox),
        ("consumers", consumers),
        ("holds", holds),
        ("stock", stock),
        ("gift cards", cards),
        ("drawers", drawers),
    ]


_KEEP_EVIDENCE = "Somebody wrote beside Holdfast, or it has a fault: keep a backup, and report it."


def _of_leases(seen: health.Leases) -> list[Finding]:
    silence = seen.keeper_silence_seconds
    keeper = Finding("keeper", "well", f"It was at work {silence:.0f} s ago.")
    if silence > MAX_KEEPER_SILENCE_SECONDS:
        since = "never" if silence == float("inf") else f"{silence:.0f} s ago for the last time"
        keeper = Finding(
            "keeper",
            "wrong",
            f"It was {since} at work: nobody takes over from a host that fails.",
            "Is Holdfast running? `holdfast up`; else see logs/ in HOLDFAST_HOME.",
        )
    hosts = ", ".join(
        f"{host.name} has {host.shards} shards"
        + (f" for {host.lease_seconds:.0f} s" if host.lease_seconds > 0 else ", its lease is over")
        for host in seen.hosts
    )
    if seen.unowned or not seen.shards:
        what = f"{seen.unowned} of {seen.shards} shards" if seen.shards else "There are no shards"
        return [
            keeper,
            Finding(
                "leases",
                "wrong",
                f"{what}{' have no owner' if seen.shards else ' yet'} ({hosts or 'no host'}):"
                " what belongs to them cannot be changed.",
                "With a keeper and a host at work they have owners within seconds.",
            ),
        ]
    return [keeper, Finding("leases", "well", f"{seen.shards} shards; {hosts}.")]


def _of_holds(seen: health.Waiting) -> Finding:
    if not seen.number:
        return Finding("holds", "well", "None is overdue.")
    return Finding(
        "holds",
        "wrong",
        f"{seen.number} open holds are overdue, the oldest by {seen.oldest_seconds:.0f} s: their"
        " goods cannot be sold.",
        "Their shards' host gives them back; see the leases.",
    )


def _of_books(subject: str, found: list[books.Contradiction], advice: str) -> list[Finding]:
    if not found:
        return [Finding(subject, "well", "What was looked at agrees with its ledger.")]
    return [
        Finding(
            subject,
            "wrong",
            f"business {drift.tenant_id} {drift.thing}: it says {drift.state},"
            f" its ledger {drift.ledger}",
            advice,
        )
        for drift in found
    ]


def _of_drift(found: list[drift.Difference]) -> list[Finding]:
    from cli.operator.drift import describe

    advice = "`holdfast drift --repair` brings it back."
    return [
        Finding("stock", "wrong", describe(difference), advice) for difference in found[:20]
    ] or [Finding("stock", "well", "Every level is what its ledger and the open holds come to.")]


async def _redis(settings: Settings) -> Finding:
    redis = Redis(settings.effective_redis_url)
    try:
        await redis.ping()
        return Finding("Redis", "well", "It answers.")
    except RedisUnavailable as error:
        return Finding(
            "Redis",
            "wrong",
            f"It does not answer ({error}). Nothing is lost; limits and caches are without it.",
            "Start it, or correct REDIS_URL.",
        )
    finally:
        await redis.close()


def _supervisor(settings: Settings) -> list[Finding]:
    """Of this machine; nothing where none has run."""
    seen = restarts(settings.home_path)
    if seen is None:
        return []
    said = f"In the past hour it started Ray again {seen.ray} times, servers {seen.servers} times."
    logs = settings.home_path / "logs"
    if seen.under_way:
        said = (
            f"{seen.under_way}; Ray is being started again, after {seen.failures} in a row. {said}"
        )
    if seen.under_way or seen.ray + seen.servers >= _MANY_RESTARTS:
        return [Finding("supervisor", "wrong", said, f"See {logs}, ray.log and ray/ first.")]
    return [Finding("supervisor", "well", said)]


def doctor(settings: Settings, *, deep: bool) -> list[Finding]:
    """See `examine`. Blocks."""
    return asyncio.run(examine(settings, deep=deep))
