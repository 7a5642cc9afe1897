"""What a business sells."""

from __future__ import annotations

from deployments.catalog.categories import routes as categories
from deployments.catalog.closing import leave_the_shelf
from deployments.catalog.files import routes as files
from deployments.catalog.products import routes as products
from deployments.catalog.variants import parents
from deployments.catalog.variants import routes as variants
from deployments.kit.capability import Capability

capability = Capability(
    "catalog",
    "/api/products",
    # `/categories` and `/export` before an id.
    (categories.router, files.router, variants.router, products.router),
    on_close=(leave_the_shelf,),
    refused={"choose_variant": parents.settle},
)
