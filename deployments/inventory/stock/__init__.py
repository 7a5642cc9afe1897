"""Levels, reservations, adjustments, counts."""
