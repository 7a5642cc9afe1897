"""What the till's paths name, and whose sales a caller sees."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path

from core.principal import Principal, Role

RegisterId = Annotated[UUID, Path(alias="registerId")]
ShiftId = Annotated[UUID, Path(alias="shiftId")]
SaleId = Annotated[UUID, Path(alias="saleId")]
ReturnId = Annotated[UUID, Path(alias="returnId")]


def cashier_filter(principal: Principal) -> str | None:
    """The cashier to whose own sales and shifts a list is narrowed; None for all others."""
    return principal.id if principal.role is Role.CASHIER else None
