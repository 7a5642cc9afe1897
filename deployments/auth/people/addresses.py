"""E-mail addresses, proved by links that are mailed to them.

Nothing waits for it: a person who has not proved their address signs in and works like anybody
else. But the account's answer says whether it is proved, and whatever comes by mail proves the
address along with what it is for: an invitation, a new password.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

from core import moments
from core.clock import Clock
from core.errors import NotFound
from core.principal import Principal
from core.request import RequestKey
from deployments.auth.events import VerificationRequested
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change, own_scope
from gateway.links import NONCE_BYTES, parse
from gateway.schemas import Message
from gateway.throttle import LINK_PER_ADDRESS, VERIFY_PER_ACCOUNT
from store.kit.engine import Scope, Transaction
from store.kit.outbox import emit
from store.people import users

TTL = timedelta(days=7)


async def ask(tx: Transaction, clock: Clock, tenant_id: UUID, user_id: UUID) -> None:
    """Asks for a mail with a link, by an event of `tenant_id`, whose transaction it is. Nothing
    happens if the address is proved."""
    expires_at = moments.of_ms(clock.now_ms()) + TTL
    if await users.ask_to_verify(tx, user_id, secrets.token_bytes(NONCE_BYTES), expires_at):
        await emit(tx, tenant_id, user_id, VerificationRequested(user_id=user_id))


async def send_again(shared: Resources, principal: Principal, key: RequestKey) -> Made[Message]:
    """Another link for the caller, which ends the one before. Raises TooManyRequests."""
    await shared.edge.throttle.attempt(VERIFY_PER_ACCOUNT, principal.id)
    user_id = UUID(principal.id)

    async def work(tx: Transaction) -> Made[Message]:
        await ask(tx, shared.clock, user_id, user_id)
        return Made.of(Message(message="A mail is on its way, unless it is verified"), 202)

    return await change(shared, principal, key, work, own_scope(principal))


async def verify(shared: Resources, address: str, token: str) -> None:
    """Notes that the caller, who has the link, has the address. Using it again changes nothing.
    Raises NotFound, the same for what never was, was replaced or has expired; TooManyRequests."""
    await shared.edge.throttle.attempt(LINK_PER_ADDRESS, address)
    text = parse("email-verification", token)
    if text is None:
        raise _not_open()
    async with shared.db.transaction(Scope(user_id=text.scope_id)) as tx:
        found = await users.address_of(tx, text.scope_id)
        if (
            found is None
            or found.nonce is None
            or text.id != text.scope_id
            or not shared.edge.links.holds("email-verification", text, found.nonce)
        ):
            raise _not_open()
        await users.mark_verified(tx, text.scope_id)


def _not_open() -> NotFound:
    return NotFound("The link is not valid, or not any more.")
