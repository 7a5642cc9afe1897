"""What a business sells."""

from __future__ import annotations

from deployments.catalog.categories import routes as categories
from deployments.catalog.closing import leave_the_shelf
from deployments.catalog.files import routes as files
from deployments.catalog.products import routes as products
from deployments.catalog.search_upkeep import keep_words
from deployments.catalog.variants import parents
from deployments.catalog.variants import routes as variants
from deployments.kit.capability import Capability

capability = Capability(
    "catalog",
    "/api/products",
    # `/categories` and `/export` before an id.
    (categories.router, files.router, variants.router, products.router),
    tasks=(keep_words,),
    on_close=(leave_the_shelf,),
    refused={"choose_variant": parents.settle},
    exempt={
        "GET /api/products/categories: page": "5,000 at most, and read as a whole",
        "GET /api/products/categories: id": "counts names, of any business",
        "GET /api/products/categories/tree: page": "as a tree has no pages",
        "GET /api/products/{productId}/variants: page": "a product has only so many",
        "ProductImport.rows: bound": "rows are judged one by one, the body bounds their names",
    },
)
