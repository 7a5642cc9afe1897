"""What the business does, over HTTP: one package per capability, and what builds them."""
