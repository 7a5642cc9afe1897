"""Sales that were made without a network, uploaded later."""

from __future__ import annotations

from fastapi import Request, Response

from deployments.kit.resources import Shared
from deployments.kit.router import Router
from deployments.pos import answers as a
from deployments.pos.offline import service as offline
from deployments.pos.offline.schemas import OfflineBatch
from deployments.pos.router import Key, Till
from gateway.answers import response
from gateway.context import context_of
from gateway.schemas import Envelope

router = Router()


@router.post(
    "/offline-sales", summary="Upload sales made offline", response_model=Envelope[a.OfflineResults]
)
async def upload_offline_sales(
    request: Request, shared: Shared, principal: Till, key: Key, body: OfflineBatch
) -> Response:
    """Records sales that a register made offline: in any order, any number of times, each once.

    Each is judged alone and has its answer at the same place. What was charged then is taken as
    it is, once it adds up; the goods are gone, so no stock is asked for, and `available` may fall
    below zero. A sale belongs to the open shift of its register, and gets its receipt number now;
    without an open shift it is rejected with `shift_closed`: open one and upload again.
    """
    uploaded = offline.Upload(shared, principal, key, context_of(request.scope).request_id)
    return response(await uploaded.record(body.sales))
