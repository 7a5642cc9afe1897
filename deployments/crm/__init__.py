"""Customers of a business, as a till needs them: whom one sells to, and whether they pay tax."""
