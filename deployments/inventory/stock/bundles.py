"""Bundles as stock knows them: not at all. The part that holds or sells one sends its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import starmap
from uuid import UUID

from actors.stock.model import MAX_LINES, MAX_QUANTITY, Measure, Measures
from core.errors import ChooseVariant, FieldError, MeasureChanged, NotFound, ValidationFailed
from store.catalog import bundles as catalog_bundles
from store.catalog.bundles import Component, ItemFacts
from store.kit.engine import Transaction

Parts = Mapping[UUID, Sequence[Component]]


def expand(
    lines: Iterable[tuple[UUID, int]], parts: Parts, decimals: Mapping[UUID, int]
) -> tuple[tuple[UUID, int], ...]:
    """Lines of (item, steps) with every bundle replaced by what `parts` says is in it; each item
    once, for the sum, in the order of first mention. `decimals` are those of the items.

    Raises ValidationFailed on `lines` for more than MAX_LINES items or MAX_QUANTITY of one.
    """
    wanted: dict[UUID, int] = {}
    for item_id, quantity in lines:
        for part in parts.get(item_id) or (Component(item_id, 1),):
            wanted[part.item_id] = wanted.get(part.item_id, 0) + part.quantity * quantity
    if len(wanted) > MAX_LINES:
        raise _too_much(f"come to {len(wanted)} items; at most {MAX_LINES} are taken")
    if any(steps > MAX_QUANTITY * 10 ** decimals.get(item, 0) for item, steps in wanted.items()):
        raise _too_much(f"come to more than {MAX_QUANTITY} of one item")
    return tuple(wanted.items())


async def expanded(
    tx: Transaction, lines: Sequence[tuple[UUID, int]], meant: Mapping[UUID, int]
) -> tuple[tuple[tuple[UUID, int], ...], Measures]:
    """The same, read from the catalogue in a tenant's scope, and how what comes of it is measured;
    `meant` are the decimals by which steps were made for the lines. Raises MeasureChanged if those
    are others by now, NotFound for what is no item of the tenant's, ChooseVariant for a product
    that has variants, and what `expand` raises."""
    facts = await catalog_bundles.facts_of(tx, {item_id for item_id, _ in lines})
    for item_id, _ in lines:
        check_stocked(item_id, facts.get(item_id))
        if facts[item_id].decimals != meant.get(item_id, 0):
            raise MeasureChanged(extra={"productId": str(item_id)})
    bundles = [item_id for item_id, fact in facts.items() if fact.kind == "bundle"]
    parts = await catalog_bundles.components_of(tx, bundles) if bundles else {}
    decimals = {item_id: fact.decimals for item_id, fact in facts.items() if fact.decimals}
    for components in parts.values():
        decimals |= {part.item_id: part.decimals for part in components if part.decimals}
    return expand(lines, parts, decimals), tuple(starmap(Measure, decimals.items()))


def available(parts: Sequence[Component], levels: Mapping[UUID, int]) -> int:
    """How many whole bundles the levels of their parts make; never below none."""
    return max(0, min((levels.get(p.item_id, 0) // p.quantity for p in parts), default=0))


def check_stocked(item_id: UUID, fact: ItemFacts | None) -> None:
    """Raises NotFound for what is no item, ChooseVariant for a product that has variants."""
    if fact is None:
        raise NotFound(f"There is no product {item_id} here.")
    if fact.kind == "parent":
        raise ChooseVariant(extra={"productId": str(item_id)})


def _too_much(message: str) -> ValidationFailed:
    return ValidationFailed([FieldError("lines", message)])
