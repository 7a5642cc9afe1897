"""Suppliers and purchase orders."""
