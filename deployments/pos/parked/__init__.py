"""Baskets that wait."""
