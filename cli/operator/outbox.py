"""`holdfast outbox`: what waits to go out, and the links of mails that nothing sends yet."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.settings import Settings


async def lines(settings: Settings, limit: int) -> AsyncIterator[str]:
    """One line per unpublished event, oldest first, and one below it for the mail that it asks
    for. Needs the database to run, and the keys of this copy. Raises Unavailable."""
    from deployments.auth.people.mails import mail_for
    from gateway.keys import KeyRing
    from gateway.links import Links
    from store.kit.engine import Database, Scope
    from store.kit.outbox import waiting

    everyone, db = Database(settings.host_database_url), Database(settings.app_database_url)
    links = Links(settings, KeyRing(settings))
    try:
        async with everyone.transaction(Scope()) as tx:
            events = await waiting(tx, limit=limit)
        for event in events:
            yield f"{event.time:%Y-%m-%d %H:%M:%S}  {event.type}  {event.subject}"
            mail = await mail_for(db, links, event)
            if mail is not None:
                yield f"    to {mail.to}: {mail.link}"
    finally:
        await everyone.close()
        await db.close()
