"""What a business emits of itself and of its master data."""

from __future__ import annotations

from uuid import UUID

from core.events import Event
from deployments.kit.events import RecordEvent, record_events

LOCATION = record_events("business.location")
TAX_CLASS = record_events("business.tax_class")
TAX_RATE = record_events("business.tax_rate")


class ProfileCreated(Event, kind="business.profile.created.v1"):
    """A business was registered."""

    id: UUID


class ProfileUpdated(RecordEvent, kind="business.profile.updated.v1"):
    """A business said something else about itself."""


class ProfileDeleted(RecordEvent, kind="business.profile.deleted.v1"):
    """A business was closed."""
