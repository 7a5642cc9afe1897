"""Levels and their ledger, transfers, purchases."""
