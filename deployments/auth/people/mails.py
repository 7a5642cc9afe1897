"""Mails that events ask for: to whom, and the link that belongs into them.

An event carries an id alone. The sender of the mail makes the link from the row and the server's
key, as late as possible; so neither events nor the database hold anything to sign in with.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from deployments.auth.events import InvitationCreated, ResetRequested, VerificationRequested
from gateway.links import Links
from store.kit.engine import Database, Scope
from store.kit.outbox import Waiting
from store.people import invitations, password_resets, users


class Mail(NamedTuple):
    to: str
    link: str


async def mail_for(db: Database, links: Links, event: Waiting) -> Mail | None:
    """None for an event that asks for no mail, or whose link has ended meanwhile."""
    if event.type == InvitationCreated.kind:
        return await invitation_mail(db, links, event.tenant_id, UUID(event.subject))
    if event.type == VerificationRequested.kind:
        return await _verification_mail(db, links, UUID(event.subject))
    if event.type == ResetRequested.kind:
        async with db.transaction(Scope(user_id=event.tenant_id)) as tx:
            asked = await password_resets.get(tx, UUID(event.subject))
            user = await users.user_by_id(tx, event.tenant_id)
        if asked is None or user is None or not asked.open or user.disabled:
            return None
        token = links.token("password-reset", user.id, asked.id, asked.nonce)
        return Mail(user.email, links.url("password-reset", token))
    return None


async def invitation_mail(
    db: Database, links: Links, tenant_id: UUID, invitation_id: UUID
) -> Mail | None:
    """What goes to the person that a business invited."""
    async with db.transaction(Scope(tenant_id=tenant_id)) as tx:
        invited = await invitations.get(tx, invitation_id)
    if invited is None or not invited.open:
        return None
    token = links.token("invitation", invited.tenant_id, invited.id, invited.nonce)
    return Mail(invited.email, links.url("invitation", token))


async def _verification_mail(db: Database, links: Links, user_id: UUID) -> Mail | None:
    async with db.transaction(Scope(user_id=user_id)) as tx:
        found = await users.address_of(tx, user_id)
    if found is None or found.verified or found.nonce is None:
        return None
    token = links.token("email-verification", user_id, user_id, found.nonce)
    return Mail(found.email, links.url("email-verification", token))
