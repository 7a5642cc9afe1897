"""A business, its locations and its taxes."""
