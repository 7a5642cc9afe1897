"""Receipts, on paper and by mail."""
