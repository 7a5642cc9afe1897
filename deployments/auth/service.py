"""Accounts: how they are made, and who somebody is that calls."""

from __future__ import annotations

from uuid import UUID

from core.errors import Conflict, FieldError, Unauthenticated
from core.ids import uuid7
from core.money import check_in_use
from core.principal import Principal, Role
from deployments.auth.keys.service import key_of_caller
from deployments.auth.people import addresses
from deployments.auth.schemas import CallerOut, NewAccount, RegisteredOut
from deployments.business.events import ProfileCreated
from deployments.kit.resources import Resources
from gateway.address import network_of
from gateway.edge import Edge
from gateway.throttle import (
    REGISTER_PER_ADDRESS,
    REGISTER_PER_NETWORK,
    TAKEN_PER_ADDRESS,
    TAKEN_PER_NETWORK,
)
from store.kit.engine import Database, Scope
from store.kit.outbox import emit
from store.people import users

DEFAULT_CURRENCY = "USD"


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    default_detail = "There is an account with this e-mail address."

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("email", "is registered already")])


async def register(shared: Resources, address: str, body: NewAccount) -> RegisteredOut:
    """A new customer, or a vendor with a business of their own; a mail asks them to prove their
    address. That one is taken has to be said, but not to a caller who asks again and again. Raises
    EmailTaken, ValidationFailed for a currency that is none, TooManyRequests or Unavailable."""
    if body.currency is not None:
        check_in_use(body.currency)
    edge, network = shared.edge, network_of(address)
    await edge.throttle.attempt(REGISTER_PER_ADDRESS, address)
    await edge.throttle.attempt(REGISTER_PER_NETWORK, network)
    async with (
        edge.throttle.guesses(TAKEN_PER_ADDRESS, address, wrong=EmailTaken),
        edge.throttle.guesses(TAKEN_PER_NETWORK, network, wrong=EmailTaken),
    ):
        password_hash = await edge.passwords.hash(body.password)
        role = Role.VENDOR if body.role == "vendor" else Role.CUSTOMER
        user = users.User(uuid7(), body.name, body.email, password_hash, role.value, disabled=False)
        tenant_id = uuid7() if role is Role.VENDOR else None
        # What is a person's alone goes by the user's id where a business's would stand.
        place = tenant_id or user.id
        async with shared.db.transaction(Scope(tenant_id=place, user_id=user.id)) as tx:
            if not await users.add_user(tx, user):
                raise EmailTaken
            if tenant_id is not None:
                name, currency = body.business_name or body.name, body.currency or DEFAULT_CURRENCY
                await users.add_business(tx, tenant_id, name, currency, user.id)
                await emit(tx, tenant_id, tenant_id, ProfileCreated(id=tenant_id))
            await addresses.ask(tx, shared.clock, place, user.id)
    return RegisteredOut.shown(user, role=role, tenant_id=tenant_id)


async def create_admin(
    db: Database, edge: Edge, *, name: str, email: str, password: str
) -> users.User:
    """A platform administrator, for the command line only. Raises EmailTaken."""
    password_hash = await edge.passwords.hash(password)
    user = users.User(uuid7(), name, email, password_hash, Role.ADMIN.value, disabled=False)
    async with db.transaction(Scope(user_id=user.id)) as tx:
        if not await users.add_user(tx, user):
            raise EmailTaken
    return user


async def caller(shared: Resources, principal: Principal) -> CallerOut:
    """A person, or the service key that speaks. Raises Unauthenticated if either is gone."""
    if principal.role is Role.SERVICE:
        name, email = (await key_of_caller(shared, principal)).name, None
        verified = None
    else:
        user = await _person(shared, principal)
        name, email, verified = user.name, user.email, user.email_verified
    return CallerOut(
        id=UUID(principal.id),
        name=name,
        email=email,
        role=principal.role,
        tenant_id=principal.tenant_id,
        scopes=sorted(principal.scopes),
        email_verified=verified,
    )


async def _person(shared: Resources, principal: Principal) -> users.User:
    user_id = UUID(principal.id)
    async with shared.db.transaction(Scope(user_id=user_id)) as tx:
        user = await users.user_by_id(tx, user_id)
    if user is None or user.disabled:
        raise Unauthenticated("The account is closed.")
    return user
