"""What may be changed about a business, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core import moments
from core.clock import Clock
from core.errors import Conflict, FieldError, InUse, NotFound
from core.money import exponent
from core.paging import Part, Span
from core.principal import Principal
from core.request import RequestKey
from deployments.business.events import (
    LOCATION,
    TAX_CLASS,
    TAX_RATE,
    ProfileDeleted,
    ProfileUpdated,
)
from deployments.business.places import PLACES
from deployments.business.schemas import (
    BusinessChanges,
    BusinessOut,
    LocationOut,
    TaxClassOut,
    TaxRateOut,
)
from deployments.kit.capability import Closing
from deployments.kit.records import Kind, Records, Writing, check_version, locked_business
from deployments.kit.resources import Resources
from gateway.access import tenant_of
from gateway.answers import recorded
from gateway.schemas import Envelope, Message
from store.business import locations, taxes
from store.business import profile as business
from store.business.locations import Location
from store.business.taxes import TaxClass, TaxRate
from store.kit import audit
from store.kit.audit import Entry, Filters
from store.kit.commands import Recorded, once
from store.kit.engine import Database, Scope, Transaction
from store.kit.outbox import emit

_AUDITED = (
    "name",
    "legal_name",
    "street",
    "city",
    "state",
    "zip",
    "country",
    "email",
    "phone",
    "website",
    "currency",
    "prices_include_tax",
    "settings",
)


class CurrencyFixed(Conflict):
    code, title = "currency_fixed", "Currency fixed"
    default_detail = "There are products with prices; the currency cannot change any more."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("currency", "is fixed once there are products")])


class MainLocationStays(Conflict):
    code, title = "main_location", "Main location"
    default_detail = "The main location cannot be deleted; it is meant where none is named."


async def profile(db: Database, principal: Principal) -> Envelope[BusinessOut]:
    """Raises NotFound if the business is deleted."""
    tenant = tenant_of(principal)
    async with db.transaction(Scope(tenant)) as tx:
        found = await business.get(tx, tenant)
    if found is None:
        raise NotFound("Your business does not exist any more.")
    return Envelope(data=BusinessOut.of(found))


async def change_profile(
    db: Database, principal: Principal, key: RequestKey, body: BusinessChanges
) -> Recorded:
    """Raises Conflict if the version is another; CurrencyFixed; ValidationFailed."""
    tenant, values = tenant_of(principal), body.values()

    async def work() -> Recorded:
        before = await locked_business(tx, tenant)
        check_version(before.version, body.version)
        if _other_currency(values, before.currency):
            await _check_currency(tx, tenant, values["currency"])
            await locations.rows.change(tx, tenant, {"currency": values["currency"]})
        if all(getattr(before, name) == value for name, value in values.items()):
            return recorded(200, Envelope(data=BusinessOut.of(before)))
        after = await business.change(tx, tenant, values)
        await emit(tx, tenant, tenant, ProfileUpdated(id=tenant, version=after.version))
        changes = audit.changed(before, after, _AUDITED)
        await audit.record(tx, tenant, principal, "business.updated", tenant, changes)
        return recorded(200, Envelope(data=BusinessOut.of(after)))

    async with db.transaction(Scope(tenant)) as tx:
        return await once(tx, tenant, key, work)


async def close_business(shared: Resources, principal: Principal, key: RequestKey) -> Recorded:
    """Marks the business as deleted, and has each capability end what it has here; its history
    stays. Raises NotFound if it is deleted already."""
    tenant = tenant_of(principal)
    ended: list[UUID] = []

    async def work() -> Recorded:
        await locked_business(tx, tenant)
        closing = Closing(tx, tenant, moments.of_ms(shared.clock.now_ms()), ended)
        for capability in shared.capabilities:
            for end in capability.on_close:
                await end(closing)
        gone = await business.change(tx, tenant, {"deleted_at": closing.at})
        await emit(tx, tenant, tenant, ProfileDeleted(id=tenant, version=gone.version))
        await audit.record(tx, tenant, principal, "business.deleted", tenant)
        return recorded(200, Message(message="Business deleted"))

    async with shared.db.transaction(Scope(tenant)) as tx:
        answer = await once(tx, tenant, key, work)
    for proof_id in ended:
        shared.edge.tokens.revoke(proof_id)
    return answer


def location_records(shared: Resources) -> Records[Location]:
    declared = [uses for each in shared.capabilities for uses in each.location_uses]

    async def check(writing: Writing[Location]) -> None:
        values, before = writing.values, writing.before
        if before is None and values.get("currency") is None:
            values["currency"] = writing.business.currency
        elif before is None:
            exponent(values["currency"])
        elif _other_currency(values, before.currency):
            await _check_currency(writing.tx, writing.business.id, values["currency"])

    async def check_removal(writing: Writing[Location]) -> None:
        if writing.before is not None and writing.before.id == writing.business.id:
            raise MainLocationStays
        if writing.before is not None:
            _check_unused(await locations.uses_of(writing.tx, writing.before.id, declared))

    audited = ("name", "street", "city", "state", "zip", "country", "phone", "time_zone")
    return Records(
        shared.db,
        Kind(
            noun="location",
            events=LOCATION,
            rows=locations.rows,
            view=LocationOut.of,
            most=locations.MOST_LOCATIONS,
            audited=(*audited, "currency", "receipt_header", "receipt_footer", "opening_hours"),
            check_values=check,
            check_removal=check_removal,
        ),
    )


async def remove_location(
    shared: Resources, principal: Principal, key: RequestKey, location_id: UUID
) -> Recorded:
    """Raises NotFound; MainLocationStays; InUse while it has stock, holds, goods on their way, or
    registers."""
    answer = await location_records(shared).remove(principal, key, location_id)
    PLACES.of(shared).forget(tenant_of(principal))
    return answer


def tax_class_records(db: Database) -> Records[TaxClass]:
    async def check(writing: Writing[TaxClass]) -> None:
        before, values = writing.before, writing.values
        if values.get("is_default") and not (before and before.is_default):
            await taxes.clear_default(writing.tx)

    async def check_removal(writing: Writing[TaxClass]) -> None:
        if writing.before is not None:
            _check_unused(await taxes.uses_of(writing.tx, writing.before.id))

    return Records(
        db,
        Kind(
            noun="tax_class",
            events=TAX_CLASS,
            rows=taxes.classes,
            view=TaxClassOut.of,
            most=taxes.MOST_CLASSES,
            audited=("name", "is_default"),
            check_values=check,
            check_removal=check_removal,
        ),
    )


def tax_rate_records(db: Database, clock: Clock) -> Records[TaxRate]:
    async def check(writing: Writing[TaxRate]) -> None:
        tx, values = writing.tx, writing.values
        if writing.before is not None:
            return
        values.setdefault("valid_from", moments.of_ms(clock.now_ms()))
        if await taxes.classes.get(tx, values["tax_class_id"]) is None:
            raise NotFound("There is no such tax class here.")
        location = values.get("location_id")
        if location is not None and await locations.rows.get(tx, location) is None:
            raise NotFound("There is no such location here.")

    return Records(
        db,
        Kind(
            noun="tax_rate",
            events=TAX_RATE,
            rows=taxes.rates,
            view=TaxRateOut.of,
            most=taxes.MOST_RATES,
            audited=("tax_class_id", "location_id", "name", "rate_ppm", "valid_from"),
            check_values=check,
        ),
    )


async def audit_log(
    db: Database, principal: Principal, filters: Filters, span: Span
) -> Part[Entry]:
    async with db.transaction(Scope(tenant_of(principal))) as tx:
        return await audit.entries(tx, filters, span)


def _check_unused(uses: Sequence[str]) -> None:
    if uses:
        raise InUse(extra={"uses": list(uses)})


def _other_currency(values: dict[str, Any], present: str) -> bool:
    return bool(values.get("currency", present) != present)


async def _check_currency(tx: Transaction, tenant: UUID, currency: str) -> None:
    exponent(currency)
    if await business.has_goods(tx, tenant):
        raise CurrencyFixed
