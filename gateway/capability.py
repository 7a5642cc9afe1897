"""A capability as the application factory takes it: a name, a prefix and relative routes."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Capability:
    """`router` holds routes relative to `prefix`: "/reserve" of the prefix "/api/inventory"."""

    name: str
    prefix: str
    router: APIRouter
