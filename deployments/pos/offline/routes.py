"""Sales that were made without a network, uploaded later."""

from __future__ import annotations

from fastapi import Request

from deployments.kit.receipts import Ordered
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, Staff
from deployments.pos.offline.schemas import NewOfflineSales, OfflineResultsOut
from deployments.pos.offline.service import Upload
from gateway.context import context_of

router = Router()


@router.post("/offline-sales", summary="Upload sales made offline")
async def upload_offline_sales(
    request: Request, shared: Shared, principal: Staff, key: Key, body: NewOfflineSales
) -> Ordered[Made[OfflineResultsOut]]:
    """Records sales that a register made offline: in any order, any number of times, each once.

    Each is judged alone and has its answer at the same place. What was charged then is taken as
    it is, once it adds up; the goods are gone, so no stock is asked for, and `available` may fall
    below zero. A sale belongs to the open shift of its register, and gets its receipt number now;
    without an open shift it is rejected with `shift_closed`: open one and upload again.
    """
    upload = Upload(shared, principal, key, context_of(request.scope).request_id)
    return await upload.record(body.sales)
