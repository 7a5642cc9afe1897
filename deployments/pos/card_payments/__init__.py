"""Sales that are paid by card."""
