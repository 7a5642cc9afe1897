"""Which lists are followed by `updatedSince`, by what a shop does to their things; and why others
are not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tests.api.cases import CASES
from tests.api.shop import Shop, done

Do = Callable[[Shop, str], Awaitable[None]]

# Lists that take no `updatedSince`.
NOT_FOLLOWED = {
    "/api/auth/api-keys": "about access: asked whole, and what ends is gone at once",
    "/api/auth/invitations": "about access: asked whole, and what ends is gone at once",
    "/api/auth/members": "about access: asked whole, and who leaves is gone at once",
    "/api/auth/service-keys": "about access: asked whole, and what ends is gone at once",
    "/api/business/audit-log": "its lines never change: it is read from the latest",
    "/api/inventory/reservations": "they last for minutes; what comes of them is a sale or nothing",
    "/api/inventory/status/low-stock": "how levels stand now, and no things of their own",
    "/api/inventory/{productId}/movements": "its lines never change: it is read from the latest",
    "/api/pos/card-refunds": "a queue: what is not done is asked for by `status`",
    "/api/pos/parked-sales": "what waits now: what is taken up is gone",
    "/api/pos/registers": "few, and each changes with every sale",
    "/api/pos/registers/{registerId}/shifts": "one register's: the open one changes with every"
    " sale, and closed ones never",
    "/api/pos/sales/{saleId}/returns": "never change; their sale changes with each of them",
    "/api/pos/shifts/{shiftId}/cash-movements": "its lines never change",
    "/api/users": "the platform's people, for its administrators",
    "/api/users/audit-log": "its lines never change: it is read from the latest",
}


class Followed(NamedTuple):
    """How a thing of a list is made, which gives its id, changed and deleted."""

    make: Callable[[Shop], Awaitable[str]]
    change: Do
    delete: Do | None


def _kind(path: str, item: str | None = None) -> Followed:
    item = item or f"{path}/{{id}}"

    async def make(shop: Shop) -> str:
        call = await CASES["POST", path].make(shop)
        return str(done(await shop.owner.post(path, call.body))["id"])

    async def change(shop: Shop, row_id: str) -> None:
        call = await CASES["PUT", item].make(shop)
        body = {name: value for name, value in (call.body or {}).items() if name != "version"}
        done(await shop.owner.call("PUT", item.replace("{id}", row_id), body))

    async def delete(shop: Shop, row_id: str) -> None:
        answer = await shop.owner.call("DELETE", item.replace("{id}", row_id))
        assert answer.status_code == 200, answer.text

    return Followed(make, change, delete if ("DELETE", item) in CASES else None)


async def _sell(shop: Shop) -> str:
    return str(done(await shop.sell(await shop.goods(2.5)))["id"])


async def _return(shop: Shop, sale_id: str) -> None:
    body = {"registerId": shop.register, "lines": [{"number": 1, "quantity": 1}]}
    done(await shop.owner.post(f"/api/pos/sales/{sale_id}/returns", body))


def _done(path: str, verb: str) -> Followed:
    async def change(shop: Shop, row_id: str) -> None:
        done(await shop.owner.post(f"{path}/{row_id}/{verb}", None))

    return _kind(path)._replace(change=change, delete=None)


FOLLOWED: dict[str, Followed] = {
    "/api/business/locations": _kind("/api/business/locations"),
    "/api/business/tax-classes": _kind("/api/business/tax-classes"),
    "/api/business/tax-rates": _kind("/api/business/tax-rates"),
    "/api/crm/customer-groups": _kind("/api/crm/customer-groups"),
    "/api/crm/customers": _kind("/api/crm/customers"),
    "/api/inventory/purchase-orders": _kind("/api/inventory/purchase-orders"),
    "/api/inventory/suppliers": _kind("/api/inventory/suppliers"),
    "/api/inventory/transfers": _done("/api/inventory/transfers", "receive"),
    "/api/pos/sales": Followed(_sell, _return, None),
    "/api/products": _kind("/api/products"),
}


def asked(path: str, shop: Shop, **query: Any) -> dict[str, Any]:
    """What a walk through a list asks for."""
    return query | ({"vendorId": str(shop.tenant)} if path == "/api/products" else {})
