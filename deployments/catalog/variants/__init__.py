"""Variants of products."""
