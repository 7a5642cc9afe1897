"""`holdfast outbox`: what waits to go out, the links of mails that nothing sends yet, and what
consumers gave up."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.settings import Settings


async def lines(
    settings: Settings, limit: int, kind: str | None = None, subject: str | None = None
) -> AsyncIterator[str]:
    """One line per unpublished event, the newest first, and one below it for the mail that it asks
    for; only those whose type begins with `kind`, or about a `subject`. Then those that consumers
    gave up. Needs the database to run, and the keys of this copy. Raises Unavailable."""
    from deployments.auth.people.mails import mail_for
    from gateway.keys import KeyRing
    from gateway.links import Links
    from store.kit.backlog import set_aside
    from store.kit.engine import Database, Scope
    from store.kit.outbox import waiting

    everyone, db = Database(settings.host_database_url), Database(settings.app_database_url)
    links = Links(settings, KeyRing(settings))
    try:
        async with everyone.transaction(Scope()) as tx:
            events = await waiting(tx, limit=limit, kind=kind, subject=subject)
            given_up = await set_aside(tx, limit=limit)
        for event in events:
            yield f"{event.time:%Y-%m-%d %H:%M:%S}  {event.type}  {event.subject}"
            mail = await mail_for(db, links, event)
            if mail is not None:
                yield f"    to {mail.to}: {mail.link}"
        for failure in given_up:
            what = f"{failure.type}  {failure.subject}"
            yield f"{failure.at:%Y-%m-%d %H:%M:%S}  given up by {failure.consumer}: {what}"
            yield f"    after {failure.attempts} attempts: {failure.problem}"
    finally:
        await everyone.close()
        await db.close()


async def retry(settings: Settings, consumer: str) -> int:
    """Has what a consumer gave up tried again; how many events that are. Raises Unavailable."""
    from store.kit.backlog import try_again
    from store.kit.engine import Database, Scope

    everyone = Database(settings.host_database_url)
    try:
        async with everyone.transaction(Scope()) as tx:
            return await try_again(tx, consumer)
    finally:
        await everyone.close()
