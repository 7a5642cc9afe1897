"""Holdfast as a client meets it."""
