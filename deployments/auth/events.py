"""What is emitted of people, of how they come in, and of the businesses that they work for. Mails
are asked for by an event that carries an id alone; the sender makes the link."""

from __future__ import annotations

from uuid import UUID

from core.events import Event


class VerificationRequested(Event, kind="auth.verification.requested.v1"):
    """Somebody wants a mail with a link that proves their address."""

    user_id: UUID


class ResetRequested(Event, kind="auth.password_reset.requested.v1"):
    """Somebody wants a mail with a link that sets another password; `id` is the request's."""

    id: UUID
    user_id: UUID


class PasswordChanged(Event, kind="auth.password.changed.v1"):
    """An account has another password."""

    user_id: UUID


class InvitationCreated(Event, kind="auth.invitation.created.v1"):
    """Somebody is to be mailed a link that lets them join a business."""

    id: UUID
    business_id: UUID
    role: str


class InvitationRevoked(Event, kind="auth.invitation.revoked.v1"):
    """An invitation counts for nothing any more."""

    id: UUID


class MemberJoined(Event, kind="auth.member.joined.v1"):
    """A person works for a business."""

    user_id: UUID
    business_id: UUID
    role: str


class MemberChanged(Event, kind="auth.member.changed.v1"):
    """A member has another role."""

    user_id: UUID
    business_id: UUID
    role: str


class MemberRemoved(Event, kind="auth.member.removed.v1"):
    """A person works for a business no more."""

    user_id: UUID
    business_id: UUID
