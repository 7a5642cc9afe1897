"""Registers, shifts, drawers, reports."""
