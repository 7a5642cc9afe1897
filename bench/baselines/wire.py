"""What all answers and refusals of the baselines share."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def refusal() -> Response:
    return JSONResponse(
        {
            "success": False,
            "code": "insufficient_stock",
            "status": 409,
            "detail": "There is not enough of it.",
        },
        409,
        media_type="application/problem+json",
    )
