"""Receipts as text, HTML or PDF."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Header, Query, Response

from core.errors import NotFound
from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.kit.routes import Staff
from deployments.pos.parameters import ReturnId, SaleId
from deployments.pos.receipts import slips
from deployments.pos.receipts.schemas import ReceiptQuery
from deployments.pos.returns.service import made_return
from deployments.pos.sales.service import recorded_sale
from deployments.pos.sales.tickets import terms_at
from gateway.access import tenant_of
from gateway.errors import responses

router = Router()

_TYPES = {
    "text": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
}
_ACCEPTED = {"text/plain": "text", "text/html": "html", "application/pdf": "pdf"}
_GIVEN: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The receipt",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            "text/html": {"schema": {"type": "string"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
DOCUMENT = _GIVEN | responses(NotFound)

Accept = Annotated[str, Header(max_length=1000, include_in_schema=False)]


@router.get(
    "/sales/{saleId}/receipt",
    summary="Get the receipt of a sale",
    response_class=Response,
    responses=DOCUMENT,
)
async def sale_receipt(
    shared: Shared,
    principal: Staff,
    sale_id: SaleId,
    query: Annotated[ReceiptQuery, Query()],
    accept: Accept = "",
) -> Response:
    """The receipt of a sale, in the location's time zone. `format`, or else the Accept header,
    says in what form; plain text if neither does."""
    sale = await recorded_sale(shared, principal, sale_id, query)
    terms = await terms_at(shared, tenant_of(principal), sale.location_id)
    return await _document(slips.sale_slip(sale, terms), query.format, accept)


@router.get(
    "/returns/{returnId}/receipt",
    summary="Get the receipt of a return",
    response_class=Response,
    responses=DOCUMENT,
)
async def return_receipt(
    shared: Shared,
    principal: Staff,
    return_id: ReturnId,
    query: Annotated[ReceiptQuery, Query()],
    accept: Accept = "",
) -> Response:
    """The receipt of a return, as that of a sale."""
    made = await made_return(shared, principal, return_id)
    terms = await terms_at(shared, tenant_of(principal), made.location_id)
    return await _document(slips.return_slip(made, terms), query.format, accept)


async def _document(slip: slips.Slip, wanted: str | None, accept: str) -> Response:
    form = wanted or _preferred(accept)
    content: str | bytes
    if form == "pdf":
        content = await asyncio.to_thread(slips.as_pdf, slip)
    else:
        content = slips.as_html(slip) if form == "html" else slips.as_text(slip)
    headers = {"Content-Security-Policy": slips.HTML_POLICY} if form == "html" else None
    return Response(content, headers=headers, media_type=_TYPES[form])


def _preferred(accept: str) -> str:
    """The first form that is named; what a browser or a printer asks for names one."""
    for part in accept.split(","):
        form = _ACCEPTED.get(part.partition(";")[0].strip().lower())
        if form is not None:
            return form
    return "text"
