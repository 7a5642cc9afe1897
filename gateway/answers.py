"""Answers of mutations as the command log keeps them and the client gets them."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel

from store.kit.commands import Recorded


def recorded(status: int, answer: BaseModel) -> Recorded:
    return Recorded(status, answer.model_dump_json(by_alias=True).encode())


def response(answer: Recorded) -> Response:
    return Response(answer.body, answer.status, media_type="application/json")
