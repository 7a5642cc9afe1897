"""Bundles as stock knows them: not at all. The part that holds or sells one sends its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from actors.stock.model import MAX_LINES, MAX_QUANTITY
from core.errors import ChooseVariant, FieldError, NotFound, ValidationFailed
from store.catalog import bundles as catalog_bundles
from store.catalog.bundles import Component, ItemFacts
from store.kit.engine import Transaction

Parts = Mapping[UUID, Sequence[Component]]


def expand(lines: Iterable[tuple[UUID, int]], parts: Parts) -> tuple[tuple[UUID, int], ...]:
    """Lines of (item, quantity) with every bundle replaced by what `parts` says is in it; each
    item once, for the sum, in the order of first mention.

    Raises ValidationFailed on `lines` for more than MAX_LINES items or MAX_QUANTITY of one.
    """
    wanted: dict[UUID, int] = {}
    for item_id, quantity in lines:
        for part in parts.get(item_id) or (Component(item_id, 1),):
            wanted[part.item_id] = wanted.get(part.item_id, 0) + part.quantity * quantity
    if len(wanted) > MAX_LINES:
        raise _too_much(f"come to {len(wanted)} items; at most {MAX_LINES} are taken")
    if max(wanted.values(), default=0) > MAX_QUANTITY:
        raise _too_much(f"come to more than {MAX_QUANTITY} of one item")
    return tuple(wanted.items())


async def expanded(
    tx: Transaction, lines: Sequence[tuple[UUID, int]]
) -> tuple[tuple[tuple[UUID, int], ...], dict[UUID, tuple[Component, ...]]]:
    """The same, read from the catalogue in a tenant's scope; with it the parts of each bundle
    that was expanded, for a sale to remember. Raises NotFound for what is no item of the
    tenant's, ChooseVariant for a product that has variants, and what `expand` raises."""
    facts = await catalog_bundles.facts_of(tx, {item_id for item_id, _ in lines})
    for item_id, _ in lines:
        check_stocked(item_id, facts.get(item_id))
    bundles = [item_id for item_id, fact in facts.items() if fact.kind == "bundle"]
    parts = await catalog_bundles.components_of(tx, bundles) if bundles else {}
    return expand(lines, parts), parts


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
