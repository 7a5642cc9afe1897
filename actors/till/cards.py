"""The rules of gift cards."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from actors.composite import Rule
from actors.rules import At, Events, about, unchanged
from actors.runtime.family import Context, Key
from actors.till import messages as t
from actors.till import model as m


def card_key(context: Context, card_id: UUID) -> Key:
    return Key(m.GIFT_CARD, context.shard, context.tenant_id, card_id)


def why_not(card: m.GiftCard | None, currency: str, context: Context) -> str | None:
    """The code of what keeps a card from paying or being paid onto; None if nothing does."""
    if card is None:
        return "gift_card_not_found"
    if card.disabled:
        return "gift_card_disabled"
    if card.expires_at_ms is not None and card.expires_at_ms <= context.now_ms:
        return "gift_card_expired"
    return None if card.currency == currency else "currency_mismatch"


def _disable(card: m.GiftCard, command: t.DisableCard, at: At) -> Events:
    return [] if card.disabled else [(at.key, m.CardDisabled())]


def _state(card: m.GiftCard, command: Any, at: At) -> t.CardState:
    return t.CardState(at.key.id, card)


COMMANDS: dict[type, Rule] = {
    t.DisableCard: about(m.GIFT_CARD, key="card_id", decide=_disable, reply=_state),
    t.GetCard: about(m.GIFT_CARD, key="card_id", decide=unchanged, reply=_state),
}
