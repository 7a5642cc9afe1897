"""Bodies, queries and answers about categories."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from deployments.catalog.categories.rules import MAX_NAME
from deployments.catalog.products.fields import Position
from gateway.changes import Partial
from gateway.fields import absent, name_of
from gateway.schemas import CamelModel, QueryModel

CategoryName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[^>]*[^\s>][^>]*$"),
    AfterValidator(name_of(MAX_NAME)),
]
Slug = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\w+(-\w+)*$")]


class NewCategory(CamelModel):
    """A category to create, at the top or below another; the tree is at most 5 levels deep."""

    name: CategoryName = Field(description="Unique among its siblings; without >")
    parent_id: UUID | None = None
    slug: Slug = absent("Unique in the business; made of the name if absent")
    position: Position = absent()


class CategoryChanges(Partial):
    """What to change; what is left out stays. A new `parentId`, null for the top, moves the
    category with all that is below it."""

    name: CategoryName = absent()
    parent_id: UUID | None = None
    slug: Slug = absent()
    position: Position = absent()


class CategoryOut(CamelModel):
    """A category. `path` is how products name it; `depth` is 1 at the top."""

    id: UUID
    parent_id: UUID | None
    name: str
    slug: str
    path: str
    depth: int
    position: int


class CategoryNodeOut(CategoryOut):
    """A category in its tree; `products` are those right in it."""

    products: int


class TreeQuery(QueryModel):
    vendor_id: UUID | None = Field(
        default=None, description="Whose tree; by default your own business'"
    )


class CategorySizeOut(CamelModel):
    category: str
    products: int


class VendorQuery(QueryModel):
    vendor_id: UUID | None = Field(default=None, description="Only this business' products")
