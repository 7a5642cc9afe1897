"""Who buys, and who takes goods in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from core.principal import MANAGEMENT, Principal, Role
from gateway.access import require

# A service key needs the scope inventory:write. Staff takes goods in, and sees no costs.
BUYERS = MANAGEMENT | {Role.SERVICE}
HANDLERS = BUYERS | {Role.STAFF}
Buyer = Annotated[Principal, Depends(require(BUYERS))]
Handler = Annotated[Principal, Depends(require(HANDLERS))]
