"""What a business says about itself."""

from __future__ import annotations

from deployments.business import locations, routes, taxes
from deployments.kit.capability import Capability

capability = Capability(
    "business",
    "/api/business",
    (routes.router, locations.router, taxes.classes, taxes.rates),
    exempt={"TaxRateOut.tax_percent: float": "not money; it is computed with in millionths"},
)
