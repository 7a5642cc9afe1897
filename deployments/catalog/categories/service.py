"""What is done with the tree of categories. A product whose path is not there brings what is
missing of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from core.errors import CategoryInUse, Conflict, FieldError, ValidationFailed
from core.principal import Principal
from core.request import RequestKey
from core.words import same_name
from deployments.catalog.authors import author_of, found, now
from deployments.catalog.categories import rules
from deployments.catalog.categories.events import (
    CategoryCreated,
    CategoryDeleted,
    CategoryUpdated,
)
from deployments.catalog.categories.rules import (
    depth_first,
    name_of,
    path_of,
    planted,
    slugs_for,
    with_ancestors,
)
from deployments.catalog.categories.schemas import (
    CategoryChanges,
    CategoryNodeOut,
    CategoryOut,
    CategorySizeOut,
    NewCategory,
)
from deployments.catalog.products.fields import MAX_PATH
from deployments.kit.resources import Resources
from deployments.kit.router import Made
from deployments.kit.routes import change
from gateway.access import tenant_of
from gateway.schemas import Message
from store.catalog import categories as stored
from store.catalog.categories import MAX_CATEGORIES, MAX_DEPTH, SEPARATOR, Category
from store.catalog.products import lock_catalog
from store.kit import audit
from store.kit.engine import PUBLIC, Transaction
from store.kit.outbox import emit


async def in_use(shared: Resources, vendor_id: UUID | None) -> list[CategorySizeOut]:
    """With the number of products in each, most first."""
    async with shared.db.transaction(PUBLIC) as tx:
        used = await stored.in_use(tx, vendor_id)
    return [CategorySizeOut(category=name, products=products) for name, products in used]


async def tree(
    shared: Resources, principal: Principal, vendor_id: UUID | None
) -> list[CategoryNodeOut]:
    """Depth first, siblings by position and then name. Anyone may read any tree."""
    tenant = vendor_id or principal.tenant_id
    if tenant is None:
        raise ValidationFailed([FieldError("vendorId", "must say whose tree")])
    async with shared.db.transaction(PUBLIC) as tx:
        sizes = await stored.tree(tx, tenant)
    by_id = {category.id: size for category, size in sizes}
    return [
        CategoryNodeOut.shown(category, products=by_id[category.id])
        for category in depth_first(category for category, _ in sizes)
    ]


async def get(shared: Resources, category_id: UUID) -> CategoryOut:
    """Raises NotFound."""
    async with shared.db.transaction(PUBLIC) as tx:
        return CategoryOut.shown(found(await stored.get(tx, category_id), "category"))


async def create(
    shared: Resources, principal: Principal, key: RequestKey, body: NewCategory
) -> Made[CategoryOut]:
    """Raises Conflict if a sibling has the name, or another category the slug; NotFound if the
    business is no more."""
    tenant = tenant_of(principal)

    async def work(tx: Transaction) -> Made[CategoryOut]:
        await lock_catalog(tx, tenant)
        author = await author_of(shared, tx, principal, tenant)
        parent = await _parent(tx, body.parent_id)
        path = path_of(parent, body.name)
        await _check_place(tx, tenant, parent, path, None)
        if body.slug:
            await _check_slug(tx, tenant, body.slug)
        if await stored.count(tx, tenant) >= MAX_CATEGORIES:
            raise Conflict(f"A business has at most {MAX_CATEGORIES} categories.")
        known = {parent.path: parent} if parent else {}
        taken = await stored.taken_slugs(tx, tenant, slugs_for(path))
        (made,) = planted([path], known, taken, tenant, author.now)
        made = replace(made, position=body.position or 0, slug=body.slug or made.slug)
        await stored.add(tx, [made])
        await emit(tx, tenant, made.id, CategoryCreated.of(made))
        await _note(tx, principal, "category.created", None, made)
        return Made.of(CategoryOut.shown(made), 201)

    return await change(shared, principal, key, work)


async def change_category(
    shared: Resources,
    principal: Principal,
    key: RequestKey,
    category_id: UUID,
    body: CategoryChanges,
) -> Made[CategoryOut]:
    """Renames or moves a category, with all that is below it and the products in them. Raises
    NotFound for another business' too; Conflict as `create` does, and if it would come to stand
    below itself."""
    tenant, given = tenant_of(principal), body.model_fields_set

    async def work(tx: Transaction) -> Made[CategoryOut]:
        await lock_catalog(tx, tenant)
        before = found(await stored.get(tx, category_id), "category")
        parent_id = body.parent_id if "parent_id" in given else before.parent_id
        parent = await _parent(tx, parent_id)
        name = body.name if "name" in given else before.name
        path = path_of(parent, name)
        await _check_place(tx, tenant, parent, path, before)
        if "slug" in given and body.slug != before.slug:
            await _check_slug(tx, tenant, body.slug)
        after = replace(
            before,
            parent_id=parent_id,
            parent_depth=parent.depth if parent else None,
            depth=parent.depth + 1 if parent else 1,
            name=name,
            path=path,
            slug=body.slug if "slug" in given else before.slug,
            position=body.position if "position" in given else before.position,
        )
        if after != before:
            after = replace(after, updated_at=now(shared))
            await stored.change(tx, before, after)
            await emit(tx, tenant, category_id, CategoryUpdated.of(after))
            await _note(tx, principal, "category.updated", before, after)
        return Made.of(CategoryOut.shown(after))

    return await change(shared, principal, key, work)


async def delete(
    shared: Resources, principal: Principal, key: RequestKey, category_id: UUID
) -> Made[Message]:
    """Raises NotFound for another business' too; CategoryInUse unless it is empty."""
    tenant = tenant_of(principal)

    async def work(tx: Transaction) -> Made[Message]:
        await lock_catalog(tx, tenant)
        category = found(await stored.get(tx, category_id), "category")
        if any(await stored.is_used(tx, category)):
            raise CategoryInUse
        await stored.remove(tx, category)
        await emit(tx, tenant, category_id, CategoryDeleted.of(category))
        path = {"path": (category.path, None)}
        await audit.record(tx, tenant, principal, "category.deleted", category_id, path)
        return Made.of(Message(message="Category deleted"))

    return await change(shared, principal, key, work)


async def as_written(
    tx: Transaction, tenant_id: UUID, paths: Iterable[str | None]
) -> dict[str | None, str | None]:
    """The paths as the business writes them: `toys > cars` is `Toys > Cars` where that is there.
    The catalogue must be locked. A path that would become too long by it stays as it is."""
    given = list(dict.fromkeys(path for path in paths if path))
    written: dict[str | None, str | None] = {path: path for path in (None, *given)}
    if len(await stored.by_paths(tx, tenant_id, given)) < len(given):
        found = rules.as_written(given, await stored.paths_of(tx, tenant_id))
        written |= {path: found[path] for path in given if len(found[path]) <= MAX_PATH}
    return written


async def ensure(
    tx: Transaction, tenant_id: UUID, paths: Iterable[str | None], now: datetime
) -> None:
    """Makes the categories that the paths name, as far as they are not there. The catalogue must
    be locked. Raises Conflict if the business would have more than MAX_CATEGORIES."""
    wanted = with_ancestors(path for path in paths if path)
    if not wanted:
        return
    known = await stored.by_paths(tx, tenant_id, wanted)
    missing = [path for path in wanted if path not in known]
    if not missing:
        return
    if await stored.count(tx, tenant_id) + len(missing) > MAX_CATEGORIES:
        raise Conflict(f"A business has at most {MAX_CATEGORIES} categories.")
    slugs = {slug for path in missing for slug in slugs_for(path)}
    taken = await stored.taken_slugs(tx, tenant_id, slugs)
    await stored.add(tx, planted(missing, known, taken, tenant_id, now))


async def _note(
    tx: Transaction, principal: Principal, action: str, before: Category | None, after: Category
) -> None:
    changes = audit.changed(before, after, ("path", "slug", "position"))
    await audit.record(tx, after.tenant_id, principal, action, after.id, changes)


async def _parent(tx: Transaction, parent_id: UUID | None) -> Category | None:
    if parent_id is None:
        return None
    parent = await stored.get(tx, parent_id)
    if parent is None:
        raise ValidationFailed([FieldError("parentId", "is no category of yours")])
    return parent


async def _check_place(
    tx: Transaction, tenant_id: UUID, parent: Category | None, path: str, moved: Category | None
) -> None:
    """That a new or moved category fits below `parent`, with all that is below it."""
    height, longest = 0, len(path)
    if moved is not None:
        if parent is not None and (parent.path + SEPARATOR).startswith(moved.path + SEPARATOR):
            message = "is below the category itself"
            errors = [FieldError("parentId", message)]
            raise Conflict("A category cannot be below itself.", errors=errors)
        height = await stored.deepest_below(tx, moved) - moved.depth
        longest += await stored.longest_below(tx, moved) - len(moved.path)
    if (parent.depth if parent else 0) + 1 + height > MAX_DEPTH:
        message = f"would make the tree deeper than {MAX_DEPTH} levels"
        raise ValidationFailed([FieldError("parentId", message)])
    if longest > MAX_PATH:
        message = f"would make a path longer than {MAX_PATH} characters"
        raise ValidationFailed([FieldError("name", message)])
    if moved is not None and moved.path == path:
        return
    name = same_name(name_of(path))
    siblings = await stored.names_below(tx, tenant_id, parent.id if parent else None)
    others = (other for id_, other in siblings.items() if moved is None or id_ != moved.id)
    if any(same_name(other) == name for other in others):
        message = "is a sibling's"
        raise Conflict(f"This name {message}.", errors=[FieldError("name", message)])


async def _check_slug(tx: Transaction, tenant_id: UUID, slug: str) -> None:
    if await stored.taken_slugs(tx, tenant_id, [slug]):
        message = "is another category's"
        raise Conflict(f"This slug {message}.", errors=[FieldError("slug", message)])
