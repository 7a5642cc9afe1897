"""A million products of some twenty businesses, one of which has most of them: how long a search
takes. No HTTP: what is measured are the store's statements, under the app role and its policies."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from bench.filled import fill, nth, write_words
from bench.ground import Ground
from core.ids import uuid7
from core.paging import Span
from core.settings import Settings
from store.catalog import search
from store.catalog.lexemes import Described
from store.catalog.search import Filters
from store.kit.engine import PUBLIC, Database, Scope

_DATABASE = "bench_searches"
_LIMIT = 20
_WARM = 3
# So many of a thousand products are the greatest business's; the others have equal shares.
_OF_GREATEST, _OTHERS = 900, 20

# Words with blanks between.
_WHATS = (
    "shirt shirts shorts shoe shoes mug lamp chair table knife bottle jacket scarf hat glove bag"
    " wallet watch ring candle soap brush towel pillow blanket rug mirror clock frame vase bowl"
    " plate spoon fork pan kettle toaster blender grill tent rope torch helmet pump chain tyre"
    " adapter cable charger speaker camera tripod printer keyboard mouse monitor tea coffee cocoa"
)
_HOWS = (
    "red green blue black white organic soft warm light heavy small large wooden vintage modern"
    " classic waterproof wireless portable foldable electric mechanical recycled handmade café"
)
_OF = "cotton wool linen silk leather steel copper brass glass oak pine bamboo stone clay"
_SYLLABLES = "ba ko li mu ra ne ti sol ver dan pek lor min gra hul wes jo fay zan quo"


@dataclass(frozen=True, slots=True)
class SearchRun:
    """`found` are the products of the first page, `total` those that are counted; times of a first
    page with its total, of `times` runs of each of several searches of the kind."""

    name: str
    products: int
    found: int
    total: int
    times: int
    median_ms: float
    p99_ms: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(ground: Ground, products: int, times: int) -> list[SearchRun]:
    """Searches among so many products, each `times` times."""
    settings = Settings.model_validate({"database_url": ground.fresh(_DATABASE, "holdfast")})
    try:
        return asyncio.run(_measure(settings, products, times))
    finally:
        ground.drop(_DATABASE)


async def _measure(settings: Settings, products: int, times: int) -> list[SearchRun]:
    tenants = await stock(settings.owner_database_url, products)
    db = Database(settings.app_database_url, pool_size=1)
    try:
        return [
            await _run(db, name, scope, searches, products, times)
            for name, scope, searches in _kinds(*tenants)
        ]
    finally:
        await db.close()


async def stock(url: str, products: int) -> tuple[UUID, UUID]:
    """Makes the products; the greatest business and a small one."""
    tenants = [uuid7() for _ in range(_OTHERS + 1)]
    great = products * _OF_GREATEST // 1000
    await fill(url, tenants[0], great, ("products",), words=False)
    others = [(products - great) // _OTHERS] * _OTHERS
    for tenant, size in zip(tenants[1:], others, strict=True):
        await fill(url, tenant, size, ("products",), words=False)
    await write_words(url, _described(tenants, [great, *others]))
    return tenants[0], tenants[1]


def _described(tenants: list[UUID], sizes: list[int]) -> Iterator[Described]:
    """Products whose words are as frequent as words are: few have most uses."""
    dice = random.Random(17)
    lists = (_WHATS, _HOWS, _OF, _SYLLABLES)
    whats, hows, materials, syllables = (words.split() for words in lists)
    makers = ["".join(dice.choices(syllables, k=3)) for _ in range(20_000)]
    weights = [1 / (rank + 20) for rank in range(len(makers))]
    for tenant, size in zip(tenants, sizes, strict=True):
        chosen = dice.choices(makers, weights, k=size)
        for number, maker in enumerate(chosen):
            what = dice.choice(whats)
            name = f"{maker} {dice.choice(hows)} {dice.choice(materials)} {what}".title()
            yield Described(
                nth(number, tenant),
                tenant,
                name,
                f"This {what} of {dice.choice(materials)} is {dice.choice(hows)} and"
                f" {dice.choice(hows)}, made by {maker} with care",
                [f"S-{number}", f"{number:012}"],
                [f"Goods > {dice.choice(materials)} > C{number % 100}"],
            )


def _kinds(great: UUID, small: UUID) -> list[tuple[str, Any, list[Filters]]]:
    def of(*texts: str, **narrowed: Any) -> list[Filters]:
        return [Filters(words=text, **narrowed) for text in texts]

    return [
        ("a word that all have", PUBLIC, of("goods", "made", "care")),
        ("popular words", PUBLIC, of("shirt", "red", "cotton", "cafe", "tea")),
        ("several popular words", PUBLIC, of("red cotton shirt", "wooden lamp", "oak table")),
        ("rare words", PUBLIC, of("bakoli", "zanquofay", "s-77777", "hulwesjo lamp")),
        ("one letter", PUBLIC, of("s", "b", "c", "1", "0")),
        ("beginnings", PUBLIC, of("sh", "cott", "blu wool", "bak", "s-1", "00000")),
        ("mistyped", PUBLIC, of("shrit", "cofee mug", "wodden", "keybaord", "watre")),
        ("nothing like it", PUBLIC, of("xylophone", "qqqqqqqq", "red xylophone")),
        ("codes", PUBLIC, of("S-123456", "000000123456")),
        ("popular, by price", PUBLIC, of("red cotton", min_price_e4=100_000)),
        ("popular, a few by price", PUBLIC, of("shirt", max_price_e4=1_000_000)),
        ("popular, in stock", PUBLIC, of("shirt", "red cotton", in_stock=False)),
        ("the greatest business", Scope(great), of("shirt", "s", "red lamp", tenant_id=great)),
        ("a small business", Scope(small), of("shirt", "s", "red lamp", "shrit", tenant_id=small)),
        ("a small business, public", PUBLIC, of("shirt", "s", "goods", tenant_id=small)),
    ]


async def _run(
    db: Database, name: str, scope: Any, searches: list[Filters], products: int, times: int
) -> SearchRun:
    taken_ms: list[float] = []
    found = total = 0
    for round_number in range(-_WARM, times):
        for filters in searches:
            begun = time.perf_counter()
            async with db.transaction(scope) as tx:
                part = await search.search(tx, filters, "relevance", Span(1, _LIMIT))
            if round_number >= 0:
                taken_ms.append((time.perf_counter() - begun) * 1000)
            found, total = len(part.items), part.total
    p99_ms = statistics.quantiles(taken_ms, n=100)[98]
    return SearchRun(name, products, found, total, times, statistics.median(taken_ms), p99_ms)
