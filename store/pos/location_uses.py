"""What of the till keeps a location from being deleted."""

from __future__ import annotations

from store.business.locations import LocationUses

LOCATION_USES = LocationUses("""
SELECT CASE WHEN shift_id IS NULL THEN 'registers' ELSE 'open_shifts' END AS use
FROM pos_registers WHERE used_location_id = :id""")
