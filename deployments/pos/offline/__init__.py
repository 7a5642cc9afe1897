"""Sales that were made without a network."""
