"""Who people are, what they may, and how they come in."""

from __future__ import annotations

from deployments.auth import routes
from deployments.auth.closing import end_access
from deployments.auth.keys import routes as keys
from deployments.auth.people import routes as people
from deployments.auth.sessions import routes as sessions
from deployments.kit.capability import Capability

capability = Capability(
    "auth",
    "/api/auth",
    (routes.router, sessions.router, people.router, keys.router),
    on_close=(end_access,),
    exempt={
        "GET /api/auth/sessions: page": "a person's own, 200 at most (store/people/sessions.py)",
        "GET /api/auth/memberships: page": "a person's own, 100 at most (store/people/users.py)",
        "POST /api/auth/logout: key": "what has ended does not end again",
        "POST /api/auth/password/change: key": "the old password is gone: a repeat is refused",
    },
)
