"""Benchmarks: what Holdfast does per second, beside the same job done in other ways."""
