"""One word per thing in the API: names that schemas, queries and paths do not have, and `id` for
the thing itself in its own answer. The words stand in docs/glossary.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from deployments.pattern.faults import Fault
from gateway.routing import HoldfastRoute

Schema = Mapping[str, Any]

# What must not come back, and what to write instead.
BANNED = {
    "itemId": "productId",
    "variantId": "productId: a variant is a product that has a parentId",
    "businessId": "tenantId",
    "shopId": "tenantId",
    "companyId": "tenantId",
    "sellerId": "vendorId",
    "personId": "userId",
    "memberId": "userId",
    "employeeId": "userId",
    "cashier": "cashierId",
    "rate": "taxPercent",
    "taxRate": "taxPercent",
    "ratePercent": "taxPercent",
    "percentage": "a name that ends in Percent",
    "parkedId": "parkedSaleId",
    "purchaseId": "purchaseOrderId",
    "paymentId": "cardPaymentId",
    "refundId": "cardRefundId",
    "at": "createdAt, or what happened then",
    "memberSince": "createdAt",
    "parkedAt": "createdAt",
    "parkedBy": "createdBy",
    "modifiedAt": "updatedAt",
    "changedAt": "updatedAt",
    "removedAt": "deletedAt",
}
_ENDINGS = {
    "Ppm": "a decimal number of percent, named ...Percent",
    "Fraction": "a decimal number of percent, named ...Percent",
}
_LAST = re.compile(r"(.*/)?([a-z-]+)/\{(\w+)Id\}")


def banned(document: Schema) -> Iterator[Fault]:
    """Names that have another word."""
    schemas: Schema = document["components"]["schemas"]
    for schema, said in sorted(schemas.items()):
        for name in said.get("properties", ()):
            if word := _instead(name):
                yield Fault(f"{schema}.{name}: word", f"is called otherwise: write {word}")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                if word := _instead(parameter["name"]):
                    where = f"{method.upper()} {path}: {parameter['name']}"
                    yield Fault(f"{where}: word", f"is called otherwise: write {word}")


def nameless(routes: Sequence[HoldfastRoute]) -> Iterator[Fault]:
    """Answers about a thing that do not call it `id`: of the address that ends in its id, of the
    list above, and of what makes one (201). An address that is called after another thing, as
    `/levels/{productId}`, may be answered with that one's name."""
    named = {found[1] + found[2]: found for route in routes if (found := _thing(route.template))}
    for route in routes:
        found = _thing(route.template) or named.get(route.template)
        answered = _data(route.response_model)
        if answered is None or (found is None and route.status_code != 201):
            continue
        aliases = {field.alias or name for name, field in answered.model_fields.items()}
        if "id" in aliases:
            continue
        if found is not None and _singular(found[2]) != found[3] and f"{found[3]}Id" in aliases:
            continue
        method = "/".join(sorted(route.methods or ()))
        yield Fault(
            f"{method} {route.template}: id",
            f"answers {answered.__name__}, which does not call the thing itself `id`",
        )


def _instead(name: str) -> str | None:
    ending = next((word for end, word in _ENDINGS.items() if name.endswith(end)), None)
    return BANNED.get(name, ending)


def _thing(template: str) -> re.Match[str] | None:
    return _LAST.fullmatch(template)


def _singular(segment: str) -> str:
    """`card-payments` is `cardPayment`."""
    word = segment
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("ss", "ss"), ("s", "")):
        if segment.endswith(plural):
            word = segment.removesuffix(plural) + singular
            break
    first, *rest = word.split("-")
    return first + "".join(part.capitalize() for part in rest)


def _data(answer: Any) -> type[BaseModel] | None:
    """The model of the thing, or of each in the list, that an answer holds."""
    field = getattr(answer, "model_fields", {}).get("data")
    kind = None if field is None else field.annotation
    for inner in getattr(kind, "__args__", ()):
        kind = inner
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind if is_model else None
