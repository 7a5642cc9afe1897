"""Products, and bundles of them."""
