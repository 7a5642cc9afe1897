"""One tree of errors. Each type carries its HTTP status, its code and what it says.

Handlers raise these and never build a status by hand; the gateway renders them as
`application/problem+json` (RFC 9457) with `success: false`, `code`, `detail`, `errors[]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class FieldError(NamedTuple):
    """What is wrong with one field. `field` is its JSON path, such as `lines[2].quantity`."""

    field: str
    message: str


# Every class, by its code and by the refusal that it stands for.
_BY_CODE: dict[str, type[HoldfastError]] = {}


class HoldfastError(Exception):
    """Base of all errors that a caller is told of.

    A class with a `code` of its own is the one of that code, and stands for what an owner refuses
    under it. Where an owner has a word of its own, the class says so: `class ReservationNotOpen(
    Conflict, refusal="not_open")`. Raises TypeError where a code or a refusal has a class already.
    """

    status: int = 500
    code: str = "internal_error"
    title: str = "Internal error"
    default_detail: str = "Something went wrong on our side."

    def __init_subclass__(cls, *, refusal: str | None = None) -> None:
        super().__init_subclass__()
        for code in {str(name) for name in (cls.__dict__.get("code"), refusal) if name}:
            if code in _BY_CODE:
                raise TypeError(f"{code!r} of {cls.__name__} is {_BY_CODE[code].__name__}'s")
            _BY_CODE[code] = cls

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        extra: dict[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        self.detail = detail or self.default_detail
        self.errors = tuple(errors)
        self.extra = extra or {}
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)


def error_class(code: str) -> type[HoldfastError] | None:
    """The class of a code, or of an owner's refusal, among those that this process has imported."""
    return _BY_CODE.get(code)


class ValidationFailed(HoldfastError):
    status, code, title = 400, "validation_failed", "Bad input"
    default_detail = "Some fields are not acceptable; `errors` names each."

    def __init__(self, errors: Sequence[FieldError], detail: str | None = None) -> None:
        super().__init__(detail, errors=errors)


class BadRequest(HoldfastError):
    status, code, title = 400, "bad_request", "Bad request"
    default_detail = "The request could not be read."


class Unauthenticated(HoldfastError):
    status, code, title = 401, "unauthenticated", "Not signed in"
    default_detail = "A valid bearer token is needed."


class InvalidCredentials(Unauthenticated):
    code, title = "invalid_credentials", "Sign-in failed"
    default_detail = "E-mail or password is wrong."


class Forbidden(HoldfastError):
    status, code, title = 403, "forbidden", "Not allowed"
    default_detail = "Your role does not allow this."


class NotFound(HoldfastError):
    status, code, title = 404, "not_found", "Not found"
    default_detail = "There is no such thing here."


class MethodNotAllowed(HoldfastError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"
    default_detail = "This address does not answer that method."


class Conflict(HoldfastError):
    status, code, title = 409, "conflict", "Conflict"
    default_detail = "This does not fit the present state."


class InsufficientStock(Conflict):
    code, title = "insufficient_stock", "Not enough stock"
    default_detail = "Not enough stock is available."


class StockLimitReached(Conflict):
    code, title = "stock_limit", "Too much stock"
    default_detail = "A product's stock may not exceed 2,000,000,000 units."


class ProductDiscontinued(Conflict):
    code, title = "product_discontinued", "Product discontinued"
    default_detail = "The product is no longer in the catalogue and cannot be reserved."


class ChooseVariant(Conflict):
    code, title = "choose_variant", "Choose a variant"
    default_detail = "The product has variants; name one of them instead."


class InUse(Conflict):
    code, title = "in_use", "In use"
    default_detail = "Something still needs this; `uses` says what."


class UsedInBundle(Conflict):
    code, title = "used_in_bundle", "Used in a bundle"
    default_detail = "A bundle contains this; take it out of the bundle first."


class PurchaseNotDraft(Conflict):
    code, title = "purchase_not_draft", "Purchase order not a draft"
    default_detail = "The purchase order has been placed or cancelled before."


class PurchaseChanged(Conflict):
    code, title = "purchase_changed", "Purchase order changed"
    default_detail = (
        "The purchase order has got a supplier of another currency meanwhile: read it again."
    )


class PurchaseNotOpen(Conflict):
    code, title = "purchase_not_open", "Purchase order not open"
    default_detail = "The purchase order is not placed yet, or nothing of it is to come any more."


class MoreThanOrdered(Conflict):
    code, title = "more_than_ordered", "More than was ordered"
    default_detail = "More came than is outstanding; `allowExcess` takes it all the same."


class CategoryInUse(Conflict):
    code, title = "category_in_use", "Category in use"
    default_detail = "The category holds products or other categories."


class ReservationNotOpen(Conflict, refusal="not_open"):
    code, title = "reservation_not_open", "Reservation not open"
    default_detail = "The reservation has been confirmed or released before."


class ReservationExpired(Conflict):
    code, title = "reservation_expired", "Reservation expired"
    default_detail = "The reservation has expired and its goods are no longer free."


class NoOpenHold(Conflict):
    code, title = "no_open_hold", "No such hold"
    default_detail = "You hold less of this product than you want to release."


class BundleHasNoStock(Conflict):
    code, title = "bundle_has_no_stock", "A bundle has no stock"
    default_detail = "A bundle has no stock of its own; change that of its parts."


class MeasureChanged(Conflict):
    code, title = "measure_changed", "Measure changed"
    default_detail = (
        "The product is counted in another measure than was thought here until now. Look at it"
        " anew, and send the quantity as a new request."
    )


class ServiceHasNoStock(Conflict):
    code, title = "service_has_no_stock", "Service has no stock"
    default_detail = "A service is sold and never counted: it has no stock."


class StockChanged(Conflict):
    code, title = "stock_changed", "Stock has changed"
    default_detail = "The level is not what you expected; `onHand` and `sequence` say what it is."


class MovedMeanwhile(Conflict, refusal="moved_meanwhile"):
    """What was asked about has changed since; told as any conflict."""


class CountedTwice(Conflict, refusal="counted_twice"):
    """A count names a level twice; told as any conflict."""


class SameLocation(Conflict, refusal="same_location"):
    """A transfer that leads nowhere; told as any conflict."""


class NotInPurchase(Conflict, refusal="not_in_purchase"):
    """What came was not ordered; told as any conflict."""


class TransferClosed(Conflict):
    code, title = "transfer_closed", "Transfer closed"
    default_detail = "The transfer has been received or cancelled before."


class MoreThanShipped(Conflict):
    code, title = "more_than_shipped", "More than was shipped"
    default_detail = "More came than is on its way; count what is too much at the destination."


class NotInTransfer(Conflict, refusal="not_in_transfer"):
    """What came was not sent; told as any conflict."""


class CommandFailed(HoldfastError):
    """A rule of ours broke; nothing was written."""

    status, code, title = 500, "command_failed", "Failed on our side"
    default_detail = "This could not be decided because of a fault of ours. Nothing has changed."


class BodyTooLate(HoldfastError):
    status, code, title = 408, "body_too_late", "Body too late"
    default_detail = "The body did not come in time. Nothing has changed."


class PayloadTooLarge(HoldfastError):
    status, code, title = 413, "payload_too_large", "Body too large"
    default_detail = "The body is larger than this address takes."


class UnsupportedMediaType(HoldfastError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"
    default_detail = "The body must be application/json."


class IdempotencyMismatch(HoldfastError):
    status, code, title = 422, "idempotency_key_reused", "Idempotency key reused"
    default_detail = "This Idempotency-Key was used with a different body."


class TooManyRequests(HoldfastError):
    status, code, title = 429, "rate_limited", "Too many requests"
    default_detail = "The rate limit is reached; try again later."


class Unavailable(HoldfastError):
    """The outcome is unknown or the work was refused unseen: repeat with the same key."""

    status, code, title = 503, "unavailable", "Try again"
    default_detail = "Not possible right now. Repeat the request with the same Idempotency-Key."

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
