"""A manager who acts for no business is refused with the same words by every capability."""

from __future__ import annotations

from uuid import uuid4

from core.principal import Role
from core.settings import Settings
from deployments.inventory.capability import capability as inventory
from tests.api.in_process import in_process
from tests.api.shop import problem


async def test_who_acts_for_no_business_repairs_nothing(embedded: Settings) -> None:
    """The route lets administrators in, who act for none, and so asks by itself."""
    body = {"productId": str(uuid4()), "reason": "drift"}
    async with (
        in_process(embedded, (inventory,)) as here,
        here.client(here.token(Role.MANAGER, None)) as http,
    ):
        refused = await http.post("/api/inventory/repairs", json=body)
    found = problem(refused, 403, "forbidden")
    assert found["detail"] == "You do not act for a business."
