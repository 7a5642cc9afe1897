"""The rules of the tree of categories, without any machinery."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from core.ids import uuid7
from core.words import same_name
from store.catalog.categories import SEPARATOR, Category

MAX_NAME = 100
_SLUG_CHARACTERS = 100
_NO_WORD = re.compile(r"[\W_]+")
_LEVELS = re.compile(r"\s*>\s*")


def tidy_path(text: str) -> str:
    """A path as people type it, in Unicode's NFC, with one space on each side of every `>`."""
    return SEPARATOR.join(_LEVELS.split(unicodedata.normalize("NFC", text.strip())))


def with_ancestors(paths: Iterable[str]) -> list[str]:
    """The paths and those above them, each once, parents first."""
    found: dict[str, int] = {}
    for path in paths:
        names = path.split(SEPARATOR)
        for depth in range(1, len(names) + 1):
            found[SEPARATOR.join(names[:depth])] = depth
    return sorted(found, key=found.__getitem__)


def as_written(paths: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """For each of the paths, and those above them, the one of the same name that is there, whatever
    its case and blanks; a new one has the names above it as they are there. What is there in two
    ways is each of them."""
    exact = set(there)
    by_name = {same_name(path): path for path in sorted(exact, reverse=True)}
    written: dict[str, str] = {}
    for path in with_ancestors(paths):
        above = parent_path(path)
        place = f"{written[above]}{SEPARATOR}{name_of(path)}" if above else path
        if place not in exact:
            place = by_name.setdefault(same_name(place), place)
        written[path] = path if path in exact else place
    return written


def path_of(parent: Category | None, name: str) -> str:
    return f"{parent.path}{SEPARATOR}{name}" if parent else name


def depth_first(categories: Iterable[Category]) -> list[Category]:
    """The trees in the order in which they are read: each category before those below it,
    siblings by position and then name."""
    below: dict[UUID | None, list[Category]] = {}
    for category in sorted(categories, key=_among_siblings, reverse=True):
        below.setdefault(category.parent_id, []).append(category)
    waiting, found = below.get(None, []), []
    while waiting:
        category = waiting.pop()
        found.append(category)
        waiting += below.get(category.id, ())
    return found


def _among_siblings(category: Category) -> tuple[int, str]:
    return category.position, category.name


def parent_path(path: str) -> str | None:
    return path.rpartition(SEPARATOR)[0] or None


def name_of(path: str) -> str:
    return path.rpartition(SEPARATOR)[2]


def slugs_for(path: str) -> tuple[str, str]:
    """What a category would be called in an address: by its name, or else by its whole path."""
    return _slug(name_of(path)), _slug(path)


def planted(
    missing: Iterable[str],
    known: Mapping[str, Category],
    taken_slugs: Iterable[str],
    tenant_id: UUID,
    now: datetime,
) -> list[Category]:
    """New categories for the paths in `missing`, parents first; `known` holds what is there."""
    tree, taken = dict(known), set(taken_slugs)
    made = []
    for path in missing:
        above = parent_path(path)
        parent = tree[above] if above else None
        category_id = uuid7()
        short, long = slugs_for(path)
        slug = next((wanted for wanted in (short, long) if wanted not in taken), None)
        slug = slug or f"{short}-{category_id.hex[-8:]}"
        taken.add(slug)
        tree[path] = Category(
            id=category_id,
            tenant_id=tenant_id,
            parent_id=parent.id if parent else None,
            parent_depth=parent.depth if parent else None,
            depth=parent.depth + 1 if parent else 1,
            name=name_of(path),
            slug=slug,
            path=path,
            position=0,
            created_at=now,
            updated_at=now,
        )
        made.append(tree[path])
    return made


def _slug(text: str) -> str:
    return _NO_WORD.sub("-", text.lower()).strip("-")[:_SLUG_CHARACTERS] or "category"
