"""What may be changed about a business, and how it ends."""

from __future__ import annotations

from uuid import UUID

from core import moments
from core.errors import NotFound
from core.principal import Principal
from core.request import RequestKey
from deployments.business.address import ADDRESS_COLUMNS
from deployments.business.currencies import cash_rounding, check_currency
from deployments.business.events import ProfileDeleted, ProfileUpdated
from deployments.business.locations import LOCATIONS
from deployments.business.schemas import BusinessChanges, BusinessOut
from deployments.kit.capability import Closing
from deployments.kit.records import check_version, locked_business, rewrite
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from gateway.access import tenant_of
from gateway.changes import onto
from gateway.schemas import Envelope, Message
from store.business import locations
from store.business import profile as business
from store.kit import audit
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit

_AUDITED = (
    "name",
    "legal_name",
    *ADDRESS_COLUMNS,
    "email",
    "phone",
    "website",
    "currency",
    "prices_include_tax",
    "cash_rounding_minor",
    "settings",
)


async def profile(db: Database, principal: Principal) -> Envelope[BusinessOut]:
    """Raises NotFound if the business is deleted."""
    tenant = tenant_of(principal)
    async with db.transaction(Scope(tenant)) as tx:
        found = await business.get(tx, tenant)
    if found is None:
        raise NotFound("Your business does not exist any more.")
    return Envelope(data=BusinessOut.of(found))


async def change_profile(
    shared: Resources, principal: Principal, key: RequestKey, body: BusinessChanges
) -> Made[BusinessOut]:
    """Raises Conflict if the version is another; CurrencyFixed; ValidationFailed."""
    tenant, given = tenant_of(principal), body.values()

    async def work(tx: Transaction) -> Made[BusinessOut]:
        before = await locked_business(tx, tenant)
        check_version(before.version, body.version)
        values = onto(before, given)
        currency = values.get("currency", before.currency)
        if currency != before.currency:
            await check_currency(tx, tenant, currency)
            main = await locations.rows.get(tx, tenant, lock=True)
            if main is not None and main.currency != currency:
                await rewrite(tx, principal, LOCATIONS, main, {"currency": currency})
            values["cash_rounding_minor"] = None
        if "cash_rounding" in values:
            values["cash_rounding_minor"] = cash_rounding(values.pop("cash_rounding"), currency)
        if all(getattr(before, name) == value for name, value in values.items()):
            return Made.of(BusinessOut.of(before))
        after = await business.change(tx, tenant, values)
        await emit(tx, tenant, tenant, ProfileUpdated(id=tenant, version=after.version))
        changes = audit.changed(before, after, _AUDITED)
        await audit.record(tx, tenant, principal, "business.updated", tenant, changes)
        return Made.of(BusinessOut.of(after))

    return await change(shared, principal, key, work)


async def close_business(shared: Resources, principal: Principal, key: RequestKey) -> Made[Message]:
    """Marks the business as deleted, and has each capability end what it has here; its history
    stays. Raises NotFound if it is deleted already."""
    tenant = tenant_of(principal)
    ended: list[UUID] = []

    async def work(tx: Transaction) -> Made[Message]:
        await locked_business(tx, tenant)
        closing = Closing(tx, tenant, moments.of_ms(shared.clock.now_ms()), ended)
        for capability in shared.capabilities:
            for end in capability.on_close:
                await end(closing)
        gone = await business.change(tx, tenant, {"deleted_at": closing.at})
        await emit(tx, tenant, tenant, ProfileDeleted(id=tenant, version=gone.version))
        await audit.record(tx, tenant, principal, "business.deleted", tenant)
        return Made.of(Message(message="Business deleted"))

    made = await change(shared, principal, key, work)
    for proof_id in ended:
        shared.edge.tokens.revoke(proof_id)
    return made
