"""Durable truth: what is committed here is true, and nothing else is."""
