"""How a business's goods are taxed: classes of goods, and what each is taxed with from when on."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from core import moments, percents
from core.errors import Conflict, FieldError, InUse, NotFound
from core.principal import MANAGEMENT, STAFF
from deployments.business.events import TAX_CLASS, TAX_RATE
from deployments.kit.record_routes import About, record_routes
from deployments.kit.records import Kind, Removing, Writing, rewrite
from gateway.access import require
from gateway.changes import Changes
from gateway.fields import NewRecord, ShortName, TaxPercent, absent
from gateway.schemas import CamelModel, DeletedAt, Moment, SyncQuery
from store.business import locations, taxes
from store.business.taxes import MAX_CLASSES, MAX_RATES, TaxClass, TaxRate, of_class


class NewTaxClass(NewRecord):
    name: ShortName
    is_default: bool = Field(default=False, description="Of goods that name no class")


class TaxClassChanges(Changes):
    name: ShortName = absent()
    is_default: bool = absent()


class TaxClassOut(CamelModel):
    id: UUID
    name: str
    is_default: bool
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt = None


class DefaultStays(Conflict):
    code, title = "default_stays", "A default class is needed"
    default_detail = (
        "Goods that name no tax class are taxed as this one. Make another class the default first."
    )


async def _check_class(writing: Writing[TaxClass]) -> None:
    """A new default class takes the place of the one before, which changes with it. Without one
    goods would be sold untaxed, and nobody told."""
    before, tx = writing.before, writing.tx
    if before and before.is_default and writing.values.get("is_default") is False:
        raise DefaultStays(errors=[FieldError("isDefault", "stays true until another is it")])
    if writing.values.get("is_default") and not (before and before.is_default):
        present = await taxes.classes.single(tx, taxes.IS_DEFAULT, lock=True)
        if present is not None:
            await rewrite(tx, writing.principal, CLASSES, present, {"is_default": False})


async def _check_class_unused(removing: Removing[TaxClass]) -> None:
    if removing.record.is_default:
        raise DefaultStays
    if uses := await taxes.uses_of(removing.tx, removing.record.id):
        raise InUse(extra={"uses": uses})


CLASSES = Kind(
    noun="tax_class",
    path="/tax-classes",
    events=TAX_CLASS,
    rows=taxes.classes,
    out=lambda tax_class, _: TaxClassOut.shown(tax_class),
    most=MAX_CLASSES,
    audited=("name", "is_default"),
    check=_check_class,
    check_removal=_check_class_unused,
    refusals=(DefaultStays,),
    removal_refusals=(DefaultStays, InUse),
)
classes = record_routes(
    CLASSES,
    read=require(STAFF),
    write=require(MANAGEMENT),
    new=NewTaxClass,
    changes=TaxClassChanges,
    out=TaxClassOut,
    about=About(
        list="Kinds of goods that are taxed alike.",
        create="A new default class takes the place of the one before.",
        delete="Only when no product or variant has it, and another is the default. What was"
        " sold with it keeps what it was taxed.",
    ),
)


def _as_columns(given: dict[str, Any]) -> dict[str, Any]:
    percent = given.pop("tax_percent", None)
    return given if percent is None else given | {"rate_ppm": percents.to_ppm(percent)}


class NewTaxRate(NewRecord):
    """What goods of a class are taxed with from a moment on, until a later rate holds."""

    tax_class_id: UUID
    location_id: UUID | None = Field(
        default=None, description="Only there; a location's own rate beats one for everywhere"
    )
    name: ShortName = Field(description="As receipts show it, such as `VAT 20%`")
    tax_percent: TaxPercent
    valid_from: Moment | None = Field(default=None, description="Now, by default")

    def values(self) -> dict[str, Any]:
        return _as_columns(super().values())


class TaxRateChanges(Changes):
    """A mistake put right. For what changes by law add a rate, so that the past stays."""

    name: ShortName = absent()
    tax_percent: TaxPercent = absent()
    valid_from: Moment = absent()

    def values(self) -> dict[str, Any]:
        return _as_columns(super().values())


class TaxRateOut(CamelModel):
    id: UUID
    tax_class_id: UUID
    location_id: UUID | None
    name: str
    tax_percent: float
    valid_from: datetime
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt = None

    @classmethod
    def of(cls, rate: TaxRate, _: UUID) -> TaxRateOut:
        return cls.shown(rate, tax_percent=percents.from_ppm(rate.rate_ppm))


class TaxRateQuery(SyncQuery):
    tax_class_id: UUID | None = None


async def _check_rate(writing: Writing[TaxRate]) -> None:
    tx, values = writing.tx, writing.values
    if writing.before is not None:
        return
    values.setdefault("valid_from", moments.of_ms(writing.shared.clock.now_ms()))
    if await taxes.classes.get(tx, values["tax_class_id"]) is None:
        raise NotFound("There is no such tax class here.")
    location_id = values.get("location_id")
    if location_id is not None and await locations.rows.get(tx, location_id) is None:
        raise NotFound("There is no such location here.")


rates = record_routes(
    Kind(
        noun="tax_rate",
        path="/tax-rates",
        events=TAX_RATE,
        rows=taxes.rates,
        out=TaxRateOut.of,
        most=MAX_RATES,
        audited=("tax_class_id", "location_id", "name", "rate_ppm", "valid_from"),
        check=_check_rate,
        refusals=(NotFound,),
    ),
    read=require(STAFF),
    write=require(MANAGEMENT),
    new=NewTaxRate,
    changes=TaxRateChanges,
    out=TaxRateOut,
    query=TaxRateQuery,
    narrowed=lambda query: () if query.tax_class_id is None else (of_class(query.tax_class_id),),
    about=About(
        list="Rates past, present and future, the newest of each class first. At a moment the"
        " newest that has begun holds; a location's own beats one for everywhere.",
        create="What goods of a class are taxed with from a moment on, everywhere or at one"
        " location.",
        change="Puts a mistake right; sales that were made stay as they are.",
        delete="Whatever rate held before it, or holds everywhere, holds again.",
    ),
)
