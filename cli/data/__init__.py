"""Products in and out as files."""
