"""What the routes of the catalogue depend on."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from core.principal import MANAGEMENT, Principal, Role
from core.request import RequestKey
from gateway.access import public_read, require
from gateway.idempotency import request_key
from store.kit.commands import Recorded

ProductId = Annotated[UUID, Path(alias="productId")]
VariantId = Annotated[UUID, Path(alias="variantId")]
CategoryId = Annotated[UUID, Path(alias="categoryId")]
Key = Annotated[RequestKey, Depends(request_key)]
# Anyone may read; what goes through many products costs more, and waits its turn.
Anyone = Annotated[Principal, Depends(public_read(1))]
AnyoneLists = Annotated[Principal, Depends(public_read(4))]
AnyoneCounts = Annotated[Principal, Depends(public_read(10))]
# A service key needs the scope catalog:write: its business' other systems keep the catalogue.
WRITERS = MANAGEMENT | {Role.SERVICE}
Writer = Annotated[Principal, Depends(require(WRITERS))]
# A platform admin acts for no business and may mend or take down any product.
WriterOrAdmin = Annotated[Principal, Depends(require(WRITERS | {Role.ADMIN}, tenant=False))]


def response(recorded: Recorded) -> Response:
    return Response(recorded.body, recorded.status, media_type="application/json")
