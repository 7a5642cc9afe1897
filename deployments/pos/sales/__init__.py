"""Baskets, prices, sales."""
