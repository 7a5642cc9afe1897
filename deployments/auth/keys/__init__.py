"""Keys of machines and of people."""
