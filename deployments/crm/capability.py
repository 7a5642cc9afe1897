"""Customers: whom a business sells to."""

from __future__ import annotations

from deployments.crm import customers, groups
from deployments.kit.capability import Capability

capability = Capability("crm", "/api/crm", (customers.router, groups.router))
