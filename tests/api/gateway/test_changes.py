"""`change` of the kit: whose rows it shows, and in whose name the command log keeps the answer."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.errors import Forbidden
from core.ids import uuid7
from core.principal import Principal, Role
from core.request import RequestKey
from deployments.kit.router import Made
from deployments.kit.routes import change, own_scope
from gateway.schemas import Message
from store.kit.engine import Scope, Transaction
from tests.api.harness import Served


async def test_a_persons_own_change_is_kept_in_their_own_name(served: Served) -> None:
    shared, person = served.resources, Principal(str(uuid7()), Role.CUSTOMER)
    key = RequestKey(uuid7(), b"body", True, 0, 30_000)
    seen = []

    async def work(tx: Transaction) -> Made[Message]:
        names = ("holdfast.tenant_id", "holdfast.user_id")
        seen.append([await tx.scalar(text(f"SELECT current_setting('{name}')")) for name in names])
        return Made.of(Message(message=f"Change {len(seen)}"))

    first = await change(shared, person, key, work, own_scope(person))
    again = await change(shared, person, key, work, own_scope(person))
    assert again.recorded == first.recorded
    assert seen == [[person.id, person.id]]
    # Nobody else hears that answer, nor can one be kept for nobody.
    stranger = Principal(str(uuid7()), Role.CUSTOMER)
    other = await change(shared, stranger, key.anew(), work, own_scope(stranger))
    assert b"Change 2" in other.recorded.body
    with pytest.raises(Forbidden):
        await change(shared, person, key, work)
    with pytest.raises(ValueError, match="for a tenant"):
        await change(shared, person, key, work, Scope())
    assert len(seen) == 2
