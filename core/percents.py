"""Percentages are exact: decimal numbers of percent outside (7.25), parts per million inside."""

from __future__ import annotations

from decimal import Decimal

PPM_PER_PERCENT = 10_000
MAX_DECIMALS = 4


def to_ppm(percent: Decimal) -> int:
    """Of a number with at most MAX_DECIMALS decimals, which has a value in parts per million."""
    return int(percent * PPM_PER_PERCENT)


def from_ppm(ppm: int) -> float:
    """The double that is nearest to the exact percentage: it reads as that is written."""
    return ppm / PPM_PER_PERCENT
