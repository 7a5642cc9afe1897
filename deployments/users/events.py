"""What the platform emits of people, in the name of the admin who did it."""

from __future__ import annotations

from uuid import UUID

from core.events import Event


class UserDisabled(Event, kind="auth.user.disabled.v1"):
    """An account was closed."""

    user_id: UUID


class UserEnabled(Event, kind="auth.user.enabled.v1"):
    """An account was opened again."""

    user_id: UUID


class RoleChanged(Event, kind="auth.user.role_changed.v1"):
    """A person has another role on the platform."""

    user_id: UUID
    role: str
