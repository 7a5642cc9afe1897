"""Customers of a business, and their groups."""
