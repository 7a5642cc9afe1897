"""What the fields of the catalogue take, each with its bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from core.money import MAX_AMOUNT_MINOR
from core.quantities import MAX_DECIMALS
from deployments.catalog.categories.rules import MAX_NAME, tidy_path
from gateway.fields import Currency, Url, name_of, no_blank_ends, not_blank, visible
from gateway.quantities import Number, SomeQuantity, number_schema
from gateway.schemas import MAX_ITEM_CODE, Amount, composed
from store.catalog.bundles import MAX_COMPONENT_QUANTITY
from store.catalog.categories import MAX_DEPTH, SEPARATOR

MAX_IMAGES = 20
MAX_PATH = 512
MAX_PRICES = 20
MAX_OPTIONS = 5
MAX_POSITION = 10_000

Description = Annotated[str, StringConstraints(max_length=10_000)]


def _path(text: str) -> str:
    path = visible(tidy_path(text), joiners=True)
    names = path.split(SEPARATOR)
    if not all(names):
        raise ValueError("must have a name on each side of every >")
    if len(names) > MAX_DEPTH:
        raise ValueError(f"must have at most {MAX_DEPTH} levels")
    if len(path) > MAX_PATH or max(map(len, names)) > MAX_NAME:
        raise ValueError(f"must have names of at most {MAX_NAME} characters")
    return path


Category = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PATH, pattern=r"\S"),
    AfterValidator(_path),
    Field(description="A name at the top, or a path of up to 5 names: `Toys > Cars`"),
]
# Words with single spaces between: what looks the same is the same.
Code = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ITEM_CODE, pattern=r"^\S+( \S+)*$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(composed),
    AfterValidator(visible),
]
AltText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=250),
    BeforeValidator(not_blank),
    AfterValidator(name_of(250)),
]
Images = Annotated[list[Url], Field(max_length=MAX_IMAGES, description="URLs, in order")]
ImageAlts = Annotated[
    dict[Url, AltText],
    Field(max_length=MAX_IMAGES, description="What an image shows, by its URL"),
]
ImageAltsPart = Annotated[
    dict[Url, AltText | None],
    Field(max_length=MAX_IMAGES, description="What an image shows, by its URL; null for nothing"),
]
Prices = Annotated[
    dict[Currency, Amount],
    Field(max_length=MAX_PRICES, description="Prices in further currencies, by ISO 4217 code"),
]
PricesPart = Annotated[
    dict[Currency, Amount | None],
    Field(
        max_length=MAX_PRICES,
        description="Prices in further currencies, by ISO 4217 code; null for none",
    ),
]
Cost = Annotated[
    Amount | None,
    Field(description="What one costs the business, in the product's currency; management's alone"),
]
QuantityDecimals = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_DECIMALS,
        description="How many decimals its quantities have, variants' too: 3 for kilograms that are"
        " weighed to the gram. Permanent",
    ),
]
Unit = Annotated[
    str,
    StringConstraints(min_length=1, max_length=10, pattern=r"^\S+( \S+)*$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(name_of(10)),
    Field(
        description="What the price is of: `piece`, `kg`, `g`, `l`, `m`, `h` and so on. Permanent"
    ),
]
BackorderLimit = Annotated[
    SomeQuantity, Field(description="How far below none it may be sold; 0 for not")
]
TaxClassId = Annotated[UUID | None, Field(description="A tax class of the business")]
OptionText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, pattern=r"^[^\s:]+( [^\s:]+)*$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(name_of(50)),
]
OptionValue = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, pattern=r"^\S+( \S+)*$"),
    BeforeValidator(no_blank_ends),
    AfterValidator(name_of(50)),
]
Options = Annotated[
    dict[OptionText, OptionValue],
    Field(
        min_length=1,
        max_length=MAX_OPTIONS,
        description="What tells the variant from its siblings, all of which have the same names",
        examples=[{"size": "M"}],
    ),
]
OptionsPart = Annotated[
    dict[OptionText, OptionValue | None],
    Field(
        max_length=2 * MAX_OPTIONS,
        description="Those that change; null takes one away. All variants of a product have"
        " options of the same names",
        examples=[{"size": "M"}],
    ),
]
Position = Annotated[int, Field(ge=0, le=MAX_POSITION, description="Order among its siblings")]
PartQuantity = Annotated[
    Number,
    Field(gt=0, le=MAX_COMPONENT_QUANTITY),
    number_schema(exclusiveMinimum=0, maximum=MAX_COMPONENT_QUANTITY),
]
PriceBound = Annotated[
    Decimal,
    Field(ge=0, le=MAX_AMOUNT_MINOR),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_AMOUNT_MINOR}),
]
