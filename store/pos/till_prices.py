"""What a till needs to price a basket: the terms of its location and the items, in one round trip
(`till_prices` of migration 0059)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from core.cash import cash_step_minor
from store.business.profile import TillTerms
from store.business.taxes import Rate
from store.catalog.bundles import Component, ItemKind, SaleItem, named_by_options
from store.kit.engine import Database

# The business is looked up for what the function found, and so in the scope that it has set.
_PRICES = """SELECT p.terms, p.rates, p.items, b.cash_rounding_minor, b.currency
FROM till_prices($1, $2, $3, $4, $5) p LEFT JOIN LATERAL (
  SELECT cash_rounding_minor, currency FROM businesses WHERE id = $1 AND p.terms IS NOT NULL
) b ON true"""


class TillPrices(NamedTuple):
    terms: TillTerms
    items: list[SaleItem]


class _Terms(NamedTuple):
    business_name: str
    location_name: str
    currency: str
    time_zone: str
    prices_include_tax: bool
    receipt_header: str
    receipt_footer: str
    default_tax_class_id: UUID | None


class _Item(NamedTuple):
    item_id: UUID
    product_id: UUID
    variant_id: UUID | None
    name: str
    sku: str
    barcode: str | None
    price_minor: int
    currency: str
    tax_class_id: UUID | None
    kind: ItemKind
    options: dict[str, str] | None
    components: tuple[Component, ...] | None
    decimals: int = 0
    unit: str = "piece"

    @property
    def as_sold(self) -> SaleItem:
        return SaleItem(
            item_id=self.item_id,
            product_id=self.product_id,
            variant_id=self.variant_id,
            name=named_by_options(self.name, self.options),
            sku=self.sku,
            barcode=self.barcode,
            price_minor=self.price_minor,
            currency=self.currency,
            tax_class_id=self.tax_class_id,
            kind=self.kind,
            components=self.components or (),
            decimals=self.decimals,
            unit=self.unit,
        )


_decode_terms = msgspec.json.Decoder(_Terms).decode
_decode_rates = msgspec.json.Decoder(list[tuple[UUID, str, int]] | None).decode
_decode_items = msgspec.json.Decoder(list[_Item] | None).decode


async def till_prices(
    db: Database,
    tenant_id: UUID,
    location_id: UUID,
    ids: Sequence[UUID] = (),
    skus: Sequence[str] = (),
    barcodes: Sequence[str] = (),
) -> TillPrices | None:
    """What holds at one of the tenant's locations now, and its items as
    `catalog_bundles.sale_items` has them; None if the tenant has no such location, or has deleted
    it. Raises Unavailable."""
    row = await db.look_up(_PRICES, tenant_id, location_id, list(ids), list(skus), list(barcodes))
    terms, rates, items, own_minor, own_currency = row or (None, None, None, None, "")
    if terms is None:
        return None
    held = {
        class_id: Rate(name, rate_ppm)
        for class_id, name, rate_ppm in _decode_rates(rates or b"null") or ()
    }
    sold = [item.as_sold for item in _decode_items(items or b"null") or ()]
    here = _decode_terms(terms)
    step = cash_step_minor(here.currency, own_minor, own_currency)
    return TillPrices(TillTerms(**here._asdict(), rates=held, cash_step_minor=step), sold)
