"""Products that have words, the best first.

`find_products` gives those that have all of the words in their names or codes, then those that have
them anywhere, then, where these are few, those that have something like them; each with a score.
A search stops at `most`: of a word that more have, any `most` of them are ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    Uuid,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import TableValuedAlias

from core.paging import MAX_COUNTED, Cursor, Part, Span
from store.catalog.lexemes import Question, question_of
from store.catalog.products import FIELDS, Product, products
from store.kit.paging import Row

# So many are ranked of what more than `most` have.
FEW = 3_000
# Fewer than so many make a search look for what is mistyped.
ENOUGH = 20
# So many of those that words find are asked for stock and the like, for one page.
MAX_LOOKED_AT = 1_000
# No product has it.
_NOTHING = Question("'!'", "'!'", None, ["!"], "!")
_ORDER = "relevance"


def found_by_words(text: str, vendor: UUID | None, most: int) -> TableValuedAlias:
    """Ids and scores of what a text finds, of one business or of all that the scope shows; with a
    text without words nothing."""
    question = question_of(text) or _NOTHING
    found = func.find_products(
        cast(question.whole, TSQUERY),
        cast(question.anywhere, TSQUERY),
        cast(question.loose, TSQUERY),
        cast(literal([f" {word}" for word in question.asked], ARRAY(Text)), ARRAY(Text)),
        cast(f" ={question.code} ", Text),
        func.to_tsquery(literal_column("'simple'"), _beginnings(text)),
        cast(vendor, Uuid),
        most,
        FEW,
        ENOUGH,
    )
    return found.table_valued(column("product_id", Uuid), column("score", Integer), name="found")


async def ranked(
    tx: AsyncConnection,
    found: TableValuedAlias,
    asked: Sequence[ColumnElement[bool]],
    also: Sequence[ColumnElement[bool]],
    span: Span,
) -> Part[Row]:
    """The part of what words found that `span` asks for, by score and then id, falling; of those
    for which all is true that is `asked` of products, and `also`. The latter costs more, and is
    asked of the next MAX_LOOKED_AT: before the end the part may have fewer rows then, or none, and
    its cursor leads on. Raises ValidationFailed on `cursor`."""
    cursor = None if span.cursor is None else Cursor.decode(span.cursor, _ORDER, [int, UUID])
    whole = _materialized(select(found.c.product_id, found.c.score), "whole")
    following = select(whole).where(whole.c.product_id.is_not(None))
    if cursor is not None:
        score, product_id = cursor.values
        there = tuple_(literal(score, BigInteger), literal(product_id, Uuid))
        following = following.where(tuple_(whole.c.score, whole.c.product_id) < there)
    if also:
        following = following.order_by(*_best(whole)).limit(MAX_LOOKED_AT)
    looked_at = following.cte("looked_at")
    kept = select(looked_at)
    if asked or also:
        kept = kept.join(products, products.c.id == looked_at.c.product_id).where(*asked, *also)
    kept_rows = kept.cte("kept")
    offset = 0 if cursor is not None else span.offset
    page = select(kept_rows).order_by(*_best(kept_rows)).limit(span.limit + 1).offset(offset)
    rows = (await tx.execute(_whole_page(page.subquery("page"), whole, looked_at, kept_rows))).all()
    return _part(rows, bool(also), span, cursor)


def _materialized(query: Select[Any], name: str) -> CTE:
    return query.cte(name).prefix_with("MATERIALIZED")


def _best(found: Any) -> tuple[ColumnElement[Any], ...]:
    return found.c.score.desc(), found.c.product_id.desc()


def _whole_page(page: Any, whole: CTE, looked_at: CTE, kept: CTE) -> Select[Any]:
    """The rows of a page, each with what is known of all; a row without a product where the page
    has none."""
    sizes = [
        select(func.count()).select_from(each).scalar_subquery().label(name)
        for name, each in (("looked_at", looked_at), ("kept", kept))
    ]
    sizes.append(exists().where(whole.c.product_id.is_(None)).label("are_more"))
    last = [
        select(looked_at.c[name])
        .order_by(looked_at.c.score, looked_at.c.product_id)
        .limit(1)
        .scalar_subquery()
        .label(f"last_{name}")
        for name in ("score", "product_id")
    ]
    sums = select(*sizes, *last).subquery("sums")
    shown = page.join(products, products.c.id == page.c.product_id)
    return (
        select(*sums.c, page.c.score.label("_score"), *FIELDS)
        .select_from(sums.outerjoin(shown, literal(True)))
        .order_by(page.c.score.desc(), page.c.product_id.desc())
    )


def _part(rows: Sequence[Any], is_portion: bool, span: Span, cursor: Cursor | None) -> Part[Row]:
    known, rows = rows[0], [row for row in rows if row.id is not None]
    has_more, shown = len(rows) > span.limit, rows[: span.limit]
    number = span.page if cursor is None else cursor.page + 1
    leads_on = is_portion and known.looked_at == MAX_LOOKED_AT
    if cursor is not None:
        total, exact = cursor.total, cursor.total_is_exact
    else:
        total = min(known.kept, MAX_COUNTED)
        exact = not known.are_more and known.kept <= MAX_COUNTED and not leads_on
    following = None
    if has_more or leads_on:
        values = (known.last_score, known.last_product_id)
        if has_more:
            values = (shown[-1]._score, shown[-1].id)
        following = Cursor(_ORDER, number, total, exact, values).encode()
    items: list[Row] = [
        {name: getattr(row, name) for name in Product.__dataclass_fields__} for row in shown
    ]
    return Part(items, number, span.limit, total, exact, following)


def _beginnings(words: str) -> str:
    """Text that people type, as the search of an earlier build took it: for products whose row has
    no words yet."""
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in words.split())
    return " & ".join(f"'{word}':*" for word in quoted)
