"""Who works for a business, and how they come and go."""
