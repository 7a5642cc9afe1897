"""Inventory: levels, reservations and adjustments of goods."""
