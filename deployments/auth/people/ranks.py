"""Who may do what to whom within a business. Pure rules; the caller holds the lock on the business,
so that the roles that it passes stay true."""

from __future__ import annotations

from core.errors import Conflict, Forbidden

RANKS = {"cashier": 1, "staff": 2, "manager": 3, "owner": 4}


class LastOwner(Conflict):
    code, title = "last_owner", "Last owner"
    default_detail = "A business keeps at least one owner; make somebody else an owner first."


def check_grant(actor: str | None, role: str) -> None:
    """That somebody with the role `actor` (None: no member any more) may give `role` to others.
    Raises Forbidden."""
    if actor is None or RANKS[actor] < RANKS["manager"]:
        raise Forbidden("Only owners and managers may do this.")
    if RANKS[role] > RANKS[actor]:
        raise Forbidden(f"A {actor} may not make anybody {role}.")


def check_touch(actor: str | None, member: str) -> None:
    """That somebody with the role `actor` may change or remove a member of the role `member`:
    owners anybody, managers those who stand below them. Raises Forbidden."""
    check_grant(actor, "cashier")
    if actor != "owner" and RANKS[member] >= RANKS[actor or ""]:
        raise Forbidden(f"A {actor} may not change a {member}.")


def check_owner_stays(member: str, becomes: str | None, owners: int) -> None:
    """That an owner is left when a member of the role `member` becomes something else, or None:
    leaves. Raises LastOwner."""
    if member == "owner" and becomes != "owner" and owners <= 1:
        raise LastOwner
