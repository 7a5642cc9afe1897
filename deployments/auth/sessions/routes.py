"""A person's own sessions and password.

What takes a password or a token of a mailed link takes no Idempotency-Key: the command log must
keep no digest of a secret. Such a link is good for one use anyway.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request

from core.errors import InvalidCredentials, NotFound
from deployments.auth.access import AnyoneTries, Person
from deployments.auth.people import addresses
from deployments.auth.sessions import passwords, service
from deployments.auth.sessions.schemas import (
    EmailVerification,
    NewPasswordReset,
    PasswordChanges,
    PasswordReset,
    SessionOut,
)
from deployments.kit.resources import Shared
from deployments.kit.router import Made, Router
from deployments.kit.routes import Key, PersonalKey
from gateway.context import context_of
from gateway.errors import responses
from gateway.schemas import Envelope, Message

router = Router()

SessionId = Annotated[UUID, Path(alias="sessionId")]


@router.get("/sessions", summary="List your sessions")
async def list_sessions(principal: Person, shared: Shared) -> Envelope[list[SessionOut]]:
    """Where you are signed in, the session used last first; at most 200."""
    return Envelope(data=await service.own_sessions(shared, principal))


@router.delete("/sessions", summary="End your other sessions")
async def end_other_sessions(principal: Person, shared: Shared, key: Key) -> Made[Message]:
    """Signs you out everywhere but here, within seconds."""
    return await service.end_other_sessions(shared, principal, key)


@router.delete(
    "/sessions/{sessionId}", summary="End one of your sessions", responses=responses(NotFound)
)
async def end_session(
    principal: Person, shared: Shared, key: PersonalKey, session_id: SessionId
) -> Made[Message]:
    """Its access token counts for nothing from now on, within seconds everywhere."""
    return await service.end_session(shared, principal, key, session_id)


@router.post(
    "/password/change", summary="Change your password", responses=responses(InvalidCredentials)
)
async def change_password(
    principal: Person, shared: Shared, request: Request, body: PasswordChanges
) -> Message:
    """Needs the present password. All your other sessions end; your API keys stay."""
    await passwords.change(shared, principal, context_of(request.scope).address, body)
    return Message(message="Password changed")


@router.post("/password/forgot", summary="Ask for a new password", status_code=202)
async def forgot_password(
    _: AnyoneTries, shared: Shared, request: Request, body: NewPasswordReset
) -> Message:
    """If there is an account with this address, a mail with a link goes to it. The answer is the
    same if there is none."""
    await passwords.request_reset(shared, context_of(request.scope).address, body.email)
    return Message(message="If there is such an account, a mail is on its way")


@router.post("/password/reset", summary="Set a new password", responses=responses(NotFound))
async def reset_password(
    _: AnyoneTries, shared: Shared, request: Request, body: PasswordReset
) -> Message:
    """With the token of the mail's link, which is good for one use within an hour. All sessions
    and API keys of the account end; sign in next."""
    await passwords.reset(shared, context_of(request.scope).address, body)
    return Message(message="Password set")


@router.post("/email/verify", summary="Prove an e-mail address", responses=responses(NotFound))
async def verify_email(
    _: AnyoneTries, shared: Shared, request: Request, body: EmailVerification
) -> Message:
    """With the token of the link that was mailed there, within seven days. Signing in never waits
    for it."""
    await addresses.verify(shared, context_of(request.scope).address, body.token)
    return Message(message="Address verified")


@router.post("/email/send", summary="Mail the link to your address again", status_code=202)
async def send_verification(principal: Person, shared: Shared, key: Key) -> Made[Message]:
    """A new link to prove your address; the one before ends. Nothing is sent if it is proved."""
    return await addresses.send_again(shared, principal, key)
