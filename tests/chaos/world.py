"""What a load acts upon: businesses on several shards, each with goods of three kinds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from uuid import UUID

from core.principal import Role
from tests.api.shop import open_shop
from tests.stack import Stack

AMPLE_STOCK = 1_000_000
SCARCE_STOCK = 5


@dataclass
class Business:
    """`ample` goods never run out, `scarce` ones do all the time, and of the `counted` one only
    ever more comes in, one at a time, so that a read of it can be judged."""

    tenant: UUID
    user: UUID
    token: str
    ample: list[str]
    scarce: list[str]
    counted: str
    holds: list[str] = field(default_factory=list)
    counted_started: int = 0
    counted_done: int = 0
    last_done: float = 0.0


async def make_businesses(stack: Stack, count: int) -> list[Business]:
    made = []
    async with AsyncExitStack() as exits:
        for _ in range(count):
            shop = await exits.enter_async_context(open_shop(stack))
            ample = [await shop.product(AMPLE_STOCK) for _ in range(2)]
            scarce = [await shop.product(SCARCE_STOCK) for _ in range(2)]
            user = shop.owner.id
            assert user is not None
            made.append(
                Business(
                    shop.tenant,
                    user,
                    stack.token(Role.OWNER, shop.tenant, user),
                    ample,
                    scarce,
                    await shop.product(),
                )
            )
    return made
