"""Categories: a tree per business. A category's path, its names from the top joined by SEPARATOR,
is how products name it; the database carries a renaming or a move over to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    RowMapping,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.catalog.products import products
from store.kit.schema import PUBLIC, metadata, of_tenant

SEPARATOR = " > "
# The least text that sorts, byte by byte, after everything that begins with SEPARATOR.
_AFTER_SEPARATOR = " >!"
# Less than a request is given: a caller that waits hears how it ended.
RENAMING_TIMEOUT_MS = 25_000
MAX_DEPTH = 5
MAX_CATEGORIES = 5_000
MAX_USED = 500

categories = Table(
    "categories",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
    Column("parent_id", Uuid),
    Column("parent_depth", SmallInteger),
    Column(
        "depth",
        SmallInteger,
        Computed("coalesce(parent_depth, 0::smallint) + 1::smallint", persisted=True),
        nullable=False,
    ),
    Column("name", String(100), nullable=False),
    Column("slug", String(120), nullable=False),
    Column("path", String(512, collation="C"), nullable=False),
    Column("position", Integer, nullable=False),
    # Of those right in it that are not deleted. The database keeps it with each change of one.
    Column("products", Integer, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "path", name="uq_categories_path"),
    UniqueConstraint("tenant_id", "slug", name="uq_categories_slug"),
    # A child names its parent's depth too, so that a cycle would count up until the bound on
    # depth refuses it: the tree stays one even if our code is wrong.
    UniqueConstraint("tenant_id", "id", "depth", name="uq_categories_depth"),
    ForeignKeyConstraint(
        ["tenant_id", "parent_id", "parent_depth"],
        ["categories.tenant_id", "categories.id", "categories.depth"],
        name="fk_categories_parent",
        onupdate="CASCADE",
    ),
    CheckConstraint(f"depth <= {MAX_DEPTH}", name="depth_bounded"),
    CheckConstraint("(parent_id IS NULL) = (parent_depth IS NULL)", name="parent_whole"),
    CheckConstraint("name <> '' AND slug <> ''", name="named"),
    Index("ix_categories_path", "path"),
    Index("ix_categories_parent", "tenant_id", "parent_id", "parent_depth"),
    info=of_tenant(public=PUBLIC),
)


@dataclass(frozen=True, slots=True)
class Category:
    """A category as it is stored. `depth` is 1 at the top."""

    id: UUID
    tenant_id: UUID
    parent_id: UUID | None
    parent_depth: int | None
    depth: int
    name: str
    slug: str
    path: str
    position: int
    created_at: datetime
    updated_at: datetime


_FIELDS = tuple(categories.c[name] for name in Category.__dataclass_fields__)


async def add(tx: AsyncConnection, new: Sequence[Category]) -> None:
    """Inserts categories, parents first."""
    if new:
        await tx.execute(insert(categories), [_row(category) for category in new])


async def change(tx: AsyncConnection, before: Category, after: Category) -> None:
    """Writes a category, and the paths of what is below it and of the products in them."""
    if after.path != before.path:
        # The key of every product below is written anew.
        limit = text(f"SET LOCAL statement_timeout = {RENAMING_TIMEOUT_MS}")
        await tx.execute(limit)
    row = {name: value for name, value in _row(after).items() if name != "id"}
    await tx.execute(update(categories).where(categories.c.id == after.id).values(row))
    if after.path != before.path:
        tail = func.substr(categories.c.path, len(before.path) + 1)
        await tx.execute(
            update(categories)
            .where(categories.c.tenant_id == after.tenant_id, below(before.path))
            .values(path=bindparam("_path", after.path, unique=True).op("||")(tail))
        )


async def remove(tx: AsyncConnection, category: Category) -> None:
    """Deletes a category that has nothing below it and no product that is not deleted."""
    await tx.execute(
        update(products)
        .where(
            products.c.tenant_id == category.tenant_id,
            products.c.category == category.path,
            products.c.deleted_at.is_not(None),
        )
        .values(category=None)
    )
    await tx.execute(delete(categories).where(categories.c.id == category.id))


async def get(tx: AsyncConnection, category_id: UUID) -> Category | None:
    """The category, or None if this scope shows none."""
    row = (await tx.execute(select(*_FIELDS).where(categories.c.id == category_id))).mappings()
    return _first(row.all())


async def by_paths(
    tx: AsyncConnection, tenant_id: UUID, paths: Iterable[str]
) -> dict[str, Category]:
    """The tenant's categories that have these paths."""
    query = select(*_FIELDS).where(
        categories.c.tenant_id == tenant_id, categories.c.path.in_(list(paths))
    )
    return {row["path"]: Category(**row) for row in (await tx.execute(query)).mappings()}


async def paths_of(tx: AsyncConnection, tenant_id: UUID) -> list[str]:
    """All paths of a tenant, MAX_CATEGORIES at most."""
    query = select(categories.c.path).where(categories.c.tenant_id == tenant_id)
    return list((await tx.execute(query.limit(MAX_CATEGORIES))).scalars())


async def names_below(
    tx: AsyncConnection, tenant_id: UUID, parent_id: UUID | None
) -> dict[UUID, str]:
    """The names of the categories right below one, or at the top, by their ids."""
    query = select(categories.c.id, categories.c.name).where(
        categories.c.tenant_id == tenant_id, categories.c.parent_id.is_not_distinct_from(parent_id)
    )
    return {row.id: row.name for row in await tx.execute(query.limit(MAX_CATEGORIES))}


async def taken_slugs(tx: AsyncConnection, tenant_id: UUID, slugs: Iterable[str]) -> set[str]:
    """Those of the slugs that a category of the tenant has."""
    query = select(categories.c.slug).where(
        categories.c.tenant_id == tenant_id, categories.c.slug.in_(list(slugs))
    )
    return set((await tx.execute(query)).scalars())


async def count(tx: AsyncConnection, tenant_id: UUID) -> int:
    query = select(func.count()).select_from(categories).where(categories.c.tenant_id == tenant_id)
    return int((await tx.execute(query)).scalar_one())


async def tree(tx: AsyncConnection, tenant_id: UUID) -> list[tuple[Category, int]]:
    """A tenant's categories with the number of products right in each, MAX_CATEGORIES at most,
    in no particular order."""
    query = (
        select(*_FIELDS, categories.c.products.label("size"))
        .where(categories.c.tenant_id == tenant_id)
        .limit(MAX_CATEGORIES)
    )
    rows = (dict(row) for row in (await tx.execute(query)).mappings())
    return [(_without_size(row), row["size"]) for row in rows]


async def in_use(tx: AsyncConnection, tenant_id: UUID | None = None) -> list[tuple[str, int]]:
    """Paths in use with the number of products right in each, most first, MAX_USED at most; of
    one tenant, or of all that the scope shows."""
    c = categories.c
    size = func.sum(c.products).label("size")
    query = (
        select(c.path, size)
        .where(c.products > 0)
        .group_by(c.path)
        .order_by(size.desc(), c.path)
        .limit(MAX_USED)
    )
    if tenant_id is not None:
        query = query.where(c.tenant_id == tenant_id)
    return [(row.path, row.size) for row in await tx.execute(query)]


async def deepest_below(tx: AsyncConnection, category: Category) -> int:
    """The greatest depth in the category's subtree, its own included."""
    deepest = select(func.max(categories.c.depth)).where(
        categories.c.tenant_id == category.tenant_id, below(category.path)
    )
    return max(category.depth, (await tx.execute(deepest)).scalar_one() or 0)


async def longest_below(tx: AsyncConnection, category: Category) -> int:
    """The length of the longest path in the category's subtree, its own included."""
    longest = select(func.max(func.char_length(categories.c.path))).where(
        categories.c.tenant_id == category.tenant_id, below(category.path)
    )
    return max(len(category.path), (await tx.execute(longest)).scalar_one() or 0)


async def is_used(tx: AsyncConnection, category: Category) -> tuple[bool, bool]:
    """Whether there are categories below it, and products (not deleted) in it."""
    child = select(categories.c.id).where(
        categories.c.tenant_id == category.tenant_id, categories.c.parent_id == category.id
    )
    product = select(products.c.id).where(
        products.c.tenant_id == category.tenant_id,
        products.c.category == category.path,
        products.c.deleted_at.is_(None),
    )
    has_child = (await tx.execute(child.limit(1))).first() is not None
    return has_child, (await tx.execute(product.limit(1))).first() is not None


async def paths_under(tx: AsyncConnection, path: str, tenant_id: UUID | None) -> list[str]:
    """`path` and the paths below it, of one tenant or of all that the scope shows;
    MAX_CATEGORIES at most."""
    query = select(categories.c.path).where(below(path)).distinct().limit(MAX_CATEGORIES)
    if tenant_id is not None:
        query = query.where(categories.c.tenant_id == tenant_id)
    return [path, *(await tx.execute(query)).scalars()]


def below(path: str) -> ColumnElement[bool]:
    """The paths under `path`, as a range of the index; itself not included."""
    return and_(categories.c.path >= path + SEPARATOR, categories.c.path < path + _AFTER_SEPARATOR)


def _first(rows: Sequence[RowMapping]) -> Category | None:
    return Category(**rows[0]) if rows else None


def _without_size(row: dict[str, Any]) -> Category:
    return Category(**{name: value for name, value in row.items() if name != "size"})


def _row(category: Category) -> dict[str, Any]:
    row = asdict(category)
    del row["depth"]  # the database counts it
    return row
