"""The states of the till, from the rows that the store read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.till import model as m

_totals = msgspec.json.Decoder(m.Totals).decode
_lines = msgspec.json.Decoder(tuple[m.SaleLine, ...]).decode
_payments = msgspec.json.Decoder(tuple[m.Payment, ...]).decode


def _restored_register(row: Sequence[Any]) -> m.Register:
    location, name, limit, number, shifts, removed, sequence, *opened = row
    shift = None
    if opened[0] is not None:
        shift = msgspec.structs.replace(m.Shift(*opened[:-1]), totals=_totals(opened[-1]))
    return m.Register(location, name, limit, number, shifts, shift, removed, sequence)


def _restored_sale(row: Sequence[Any]) -> m.Sale:
    register, location, shift, number, currency, status, tips, lines, payments, *rest = row
    return m.Sale(
        register,
        location,
        shift,
        number,
        currency,
        m.SaleStatus(status),
        tips,
        _lines(lines),
        _payments(payments),
        *rest,
    )


RESTORES: Mapping[str, Callable[[Any], Any]] = {
    m.REGISTER: _restored_register,
    m.SALE: _restored_sale,
    m.GIFT_CARD: lambda row: m.GiftCard(*row),
}
