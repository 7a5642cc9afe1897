"""What the end of a business means for those who could enter it."""

from __future__ import annotations

from deployments.kit.capability import Closing
from store.people import access_keys, invitations, sessions


async def end_access(closing: Closing) -> None:
    """Nobody can sign in to it, its keys end, and open invitations count for nothing."""
    tx = closing.tx
    closing.ended.extend(await sessions.end_where(tx, business_id=closing.tenant_id))
    closing.ended.extend(await access_keys.end_all(tx))
    await invitations.revoke_all(tx)
