"""Mails to the people of the demo, made as a mailer will make them: from the copy's own rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from core.errors import Unavailable
from core.settings import Settings
from deployments.auth.people.mails import invitation_mail
from gateway.keys import KeyRing
from gateway.links import Links
from store.kit.engine import Database

_PAUSE_SECONDS = 0.5


class Mailbox:
    """Its reader holds the database and the keys of the copy, as its operators do."""

    def __init__(self, settings: Settings, db: Database, patience_seconds: float) -> None:
        self._links = Links(settings, KeyRing(settings))
        self._db = db
        self._patience_seconds = patience_seconds

    async def invitation(self, tenant_id: UUID, invitation_id: UUID) -> str | None:
        """The token of the link to an invitation; None once that was used. Raises TimeoutError
        when the database was away for longer than the patience."""
        async with asyncio.timeout(self._patience_seconds):
            while True:
                try:
                    mail = await invitation_mail(self._db, self._links, tenant_id, invitation_id)
                except Unavailable:
                    await asyncio.sleep(_PAUSE_SECONDS)
                else:
                    return mail.link.partition("#")[2] if mail else None


@asynccontextmanager
async def open_mailbox(settings: Settings, patience_seconds: float) -> AsyncIterator[Mailbox]:
    db = Database(settings.app_database_url)
    try:
        yield Mailbox(settings, db, patience_seconds)
    finally:
        await db.close()
