"""What of inventory keeps a location from being deleted. Goods that were ordered or shipped are
incoming at their level, those that are held reserved."""

from __future__ import annotations

from store.business.locations import LocationUses

LOCATION_USES = LocationUses("""
SELECT unnest(ARRAY[
  CASE WHEN on_hand <> 0 THEN 'stock' END,
  CASE WHEN reserved <> 0 THEN 'reservations' END,
  CASE WHEN incoming <> 0 THEN 'incoming' END]) AS use
FROM stock_levels WHERE used_location_id = :id
UNION SELECT 'transfers' FROM stock_transfers
  WHERE status = 'in_transit' AND :id IN (from_location_id, to_location_id)
UNION SELECT 'purchase_orders' FROM purchase_orders
  WHERE status IN ('ordered', 'partly_received') AND location_id = :id""")
