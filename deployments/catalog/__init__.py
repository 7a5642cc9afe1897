"""Products: what a business sells, open to everyone's eyes and to its own managers' hands."""
