"""What is emitted of categories."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from core.events import Event
from store.catalog import categories


class Category(Event):
    """A category as the change left it; `path` are the names from the top down."""

    category_id: UUID
    parent_id: UUID | None
    path: str
    slug: str

    @classmethod
    def of(cls, category: categories.Category) -> Self:
        return cls(
            category_id=category.id,
            parent_id=category.parent_id,
            path=category.path,
            slug=category.slug,
        )


class CategoryCreated(Category, kind="catalog.category.created.v1"):
    """A category was made by itself, and not by the path of a product."""


class CategoryUpdated(Category, kind="catalog.category.updated.v1"):
    """A category was renamed or moved, with all that is below it."""


class CategoryDeleted(Category, kind="catalog.category.deleted.v1"):
    """An empty category was deleted."""
