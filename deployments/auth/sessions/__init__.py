"""A person's sessions and passwords."""
