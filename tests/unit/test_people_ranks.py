"""Who may do what to whom in a business: the rules against a table written by hand."""

from __future__ import annotations

import pytest

from core.errors import Forbidden
from deployments.auth.people.ranks import LastOwner, check_grant, check_owner_stays, check_touch

ROLES = ("owner", "manager", "staff", "cashier")
MAY_GRANT = {
    "owner": set(ROLES),
    "manager": {"manager", "staff", "cashier"},
    "staff": set(),
    "cashier": set(),
    None: set(),
}
MAY_TOUCH = {
    "owner": set(ROLES),
    "manager": {"staff", "cashier"},
    "staff": set(),
    "cashier": set(),
    None: set(),
}


@pytest.mark.parametrize("actor", MAY_GRANT)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_give_what(actor: str | None, role: str) -> None:
    if role in MAY_GRANT[actor]:
        check_grant(actor, role)
    else:
        with pytest.raises(Forbidden):
            check_grant(actor, role)


@pytest.mark.parametrize("actor", MAY_TOUCH)
@pytest.mark.parametrize("member", ROLES)
def test_who_may_change_whom(actor: str | None, member: str) -> None:
    if member in MAY_TOUCH[actor]:
        check_touch(actor, member)
    else:
        with pytest.raises(Forbidden):
            check_touch(actor, member)


@pytest.mark.parametrize(
    ("member", "becomes", "owners", "stays"),
    [
        ("owner", None, 1, False),
        ("owner", "manager", 1, False),
        ("owner", "owner", 1, True),
        ("owner", None, 2, True),
        ("manager", None, 1, True),
        ("cashier", "owner", 1, True),
    ],
)
def test_an_owner_stays(member: str, becomes: str | None, owners: int, stays: bool) -> None:
    if stays:
        check_owner_stays(member, becomes, owners)
    else:
        with pytest.raises(LastOwner):
            check_owner_stays(member, becomes, owners)
