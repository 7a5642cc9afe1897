"""Groups that a business puts its customers into."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from core.errors import InUse
from core.principal import MANAGEMENT, STAFF
from deployments.crm.events import CUSTOMER_GROUP
from deployments.kit.record_routes import About, record_routes
from deployments.kit.records import Kind
from gateway.access import require
from gateway.changes import Changes
from gateway.fields import NewRecord, ShortName, absent
from gateway.schemas import CamelModel, DeletedAt
from store.crm import groups


class NewCustomerGroup(NewRecord):
    name: ShortName


class CustomerGroupChanges(Changes):
    name: ShortName = absent()


class CustomerGroupOut(CamelModel):
    id: UUID
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: DeletedAt = None


router = record_routes(
    Kind(
        noun="customer_group",
        path="/customer-groups",
        events=CUSTOMER_GROUP,
        rows=groups.rows,
        out=lambda group, _: CustomerGroupOut.shown(group),
        most=groups.MAX_GROUPS,
        audited=("name",),
        removal_refusals=(InUse,),
    ),
    read=require(STAFF),
    write=require(MANAGEMENT),
    new=NewCustomerGroup,
    changes=CustomerGroupChanges,
    out=CustomerGroupOut,
    about=About(
        list="Groups of customers, the oldest first.",
        create="A group to put customers into.",
        delete="Only when no customer is in it.",
    ),
)
