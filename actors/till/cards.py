"""The rules of gift cards."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from actors.runtime.family import Context, Decision, Key, View
from actors.stock.levels import refuse
from actors.till import messages as t
from actors.till import model as m
from actors.till.evolve import evolve


def card_key(context: Context, card_id: UUID) -> Key:
    return Key(m.GIFT_CARD, context.shard, context.tenant_id, card_id)


def keys(command: t.DisableCard | t.GetCard, context: Context, view: View) -> Iterator[Key]:
    yield card_key(context, command.card_id)


def why_not(card: m.GiftCard | None, currency: str, context: Context) -> str | None:
    """The code of what keeps a card from paying or being paid onto; None if nothing does."""
    if card is None:
        return "gift_card_not_found"
    if card.disabled:
        return "gift_card_disabled"
    if card.expires_at_ms is not None and card.expires_at_ms <= context.now_ms:
        return "gift_card_expired"
    return None if card.currency == currency else "currency_mismatch"


def disable_card(view: View, command: t.DisableCard, context: Context) -> Decision:
    key = card_key(context, command.card_id)
    card: m.GiftCard | None = view.get(key)
    if card is None:
        return refuse("not_found")
    if card.disabled:
        return Decision(t.CardState(key.id, card), (), (key,))
    event = m.CardDisabled()
    return Decision(t.CardState(key.id, evolve(card, event)), [(key, event)], (key,))


def get_card(view: View, command: t.GetCard, context: Context) -> Decision:
    card: m.GiftCard | None = view.get(card_key(context, command.card_id))
    return Decision(t.CardState(command.card_id, card)) if card else refuse("not_found")
