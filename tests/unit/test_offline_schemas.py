"""What is kept of an offline sale is compared with what is uploaded again, also a build later."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.pos.offline.schemas import NewOfflineSale

APART, COMPOSED = "cafe\u0301", "caf\u00e9"
# As the build before codes had one form made them: a register repeats what that one has kept.
KEPT = {
    APART: "7fc9dbd7b51e95b2689b5db7044d6ba2bab1039938a67a0325e0b8365ac3707f",
    COMPOSED: "12cbab037fa2b1dcede01798b48b66992da29bd87da0df2b0e4fc100b2106c90",
}


def _sale(code: str) -> NewOfflineSale:
    body: dict[str, Any] = {
        "clientSaleId": "019ac000-0000-7000-8000-000000000001",
        "occurredAt": "2026-11-28T10:00:00Z",
        "registerId": "019ac000-0000-7000-8000-000000000002",
        "lines": [{"sku": code, "quantity": 1, "unitPrice": 1, "total": 1}],
        "total": 1,
        "pricesIncludeTax": True,
        "payments": [],
    }
    return NewOfflineSale.model_validate(body)


@pytest.mark.parametrize("code", [APART, COMPOSED])
def test_a_code_is_kept_as_it_was_typed_and_looked_for_in_one_form(code: str) -> None:
    sale = _sale(code)
    assert sale.digest().hex() == KEPT[code]
    assert sale.lines[0].named == ("sku", "sku", COMPOSED)


def test_a_code_that_one_form_makes_too_long_is_refused() -> None:
    with pytest.raises(ValidationError, match="NFC"):
        _sale("\u0958" * 64)
