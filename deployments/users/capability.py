"""What people say about themselves, and what administrators see of them."""

from __future__ import annotations

from deployments.kit.capability import Capability
from deployments.users.routes import router

capability = Capability(
    "users",
    "/api/users",
    (router,),
    exempt={"GET /api/users/addresses: page": "a person's own, 50 at most"},
)
