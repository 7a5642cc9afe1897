"""Bodies and answers of the hottest routes as msgspec reads and writes them, made of the models
that pydantic reads and writes: a tenth of the time, for the plainest form alone."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, cast, get_args, get_origin

import msgspec
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from msgspec import UNSET, UnsetType
from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from gateway import quantities, schemas

B = TypeVar("B", bound=BaseModel)

_AMOUNT = re.compile(rb"(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?")
_BOUNDS: dict[type, str] = {
    Ge: "ge",
    Gt: "gt",
    Le: "le",
    Lt: "lt",
    MinLen: "min_length",
    MaxLen: "max_length",
}
_COMPARED = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}
# They leave text of ASCII as it is.
_HARMLESS = frozenset({schemas.composed, quantities.quantity_number})


class NotPlain(Exception):
    """A request that FastAPI's way knows what to do with."""


class Plain(Generic[B]):
    """Bodies of the plainest form that mean what a model's do: objects with some of its fields, by
    name, and lists of such objects (`lines=Plain(...)`); what is left out is as in the model.

    A body with any other field, with an escape, with text beyond ASCII or with a name twice is not
    plain. `holds` says whether one is that keeps the bounds of each field: it stands for the
    validators of the model and of its lists. Raises TypeError for a field whose values cannot be
    told apart so.
    """

    def __init__(
        self,
        model: type[B],
        *names: str,
        holds: Callable[[B], bool] | None = None,
        **inside: Plain[Any],
    ) -> None:
        fields = {name: model.model_fields[name] for name in (*names, *inside)}
        self._holds = holds
        self._inside = inside
        self._optional = {
            name: field.get_default(call_default_factory=True)
            for name, field in fields.items()
            if not field.is_required()
        }
        self._required = len(fields) - len(self._optional)
        self._amounts = {name: _bounds(fields[name]) for name in names if _is_amount(fields[name])}
        self.struct = self._declared(model, fields)
        encoded = [field.encode_name for field in msgspec.structs.fields(self.struct)]
        self._names: set[bytes] = {f'"{name}"'.encode() for name in encoded}
        for part in inside.values():
            self._names |= part._names
        self._decode = msgspec.json.Decoder(self.struct).decode

    def read(self, raw: bytes) -> B | None:
        """What stands for the model; None if the body is not plain."""
        if b"\\" in raw or not raw.isascii():
            return None
        try:
            body: Any = self._decode(raw)
            given = self._settle(body)
        except (msgspec.MsgspecError, RecursionError, NotPlain):
            return None
        # Of a name that comes twice msgspec takes the last. A text that reads like a name only
        # makes a body less plain.
        if given != sum([raw.count(name) for name in self._names]):
            return None
        return None if self._holds is not None and not self._holds(body) else body

    def _declared(self, model: type[B], fields: dict[str, FieldInfo]) -> type[msgspec.Struct]:
        declared: list[Any] = []
        for name, field in fields.items():
            part = self._inside.get(name)
            kind: Any
            if part is None:
                kind = _bounded(name, field)
            else:
                kind = Annotated[GenericAlias(list, part.struct), msgspec.Meta(**_meta(field))]
            if name in self._optional:
                declared.append((name, kind | UnsetType, UNSET))
            else:
                declared.append((name, kind))
        declared.sort(key=len)  # What has a default comes last.
        others = {
            name: field.get_default(call_default_factory=True)
            for name, field in model.model_fields.items()
            if name not in fields
        }
        return msgspec.defstruct(
            model.__name__,
            declared,
            namespace=others | _properties(model),
            rename="camel",
            forbid_unknown_fields=True,
        )

    def _settle(self, item: Any) -> int:
        """Completes what was read, and says how many names were given. Raises NotPlain."""
        given = self._required
        for name, default in self._optional.items():
            if getattr(item, name) is UNSET:
                setattr(item, name, default)
            else:
                given += 1
        for name, bounds in self._amounts.items():
            written = getattr(item, name)
            if isinstance(written, msgspec.Raw):
                setattr(item, name, _amount(bytes(written), bounds))
        for name, part in self._inside.items():
            settle = part._settle
            given += sum([settle(inner) for inner in getattr(item, name) or ()])
        return given


def plain_out(model: type[B]) -> type[B]:
    """A struct with the fields of an answer's model, in their order, which msgspec writes as
    pydantic writes the model. An amount is a float there; what pydantic leaves out where it is
    None is left out, and stands at the end."""
    declared = [
        (name, Any) if field.exclude_if is None else (name, Any, None)
        for name, field in model.model_fields.items()
    ]
    made: Any = msgspec.defstruct(
        model.__name__, declared, rename="camel", omit_defaults=True, gc=False
    )
    return cast("type[B]", made)


def _properties(model: type[BaseModel]) -> dict[str, property]:
    """What a model computes of its fields."""
    return {
        name: value
        for base in reversed(model.__mro__)
        if issubclass(base, schemas.CamelModel) and base is not schemas.CamelModel
        for name, value in vars(base).items()
        if isinstance(value, property)
    }


def _amount(text: bytes, bounds: Sequence[Any]) -> Decimal:
    """Raises NotPlain."""
    if not _AMOUNT.fullmatch(text):
        raise NotPlain
    amount = Decimal(text.decode())
    for bound in bounds:
        name = _BOUNDS[type(bound)]
        if not _COMPARED[name](amount, getattr(bound, name)):
            raise NotPlain
    return amount


def _is_amount(field: FieldInfo) -> bool:
    return any(
        isinstance(part, BeforeValidator) and part.func is schemas.exact_number
        for part in _said(field)
    )


def _bounds(field: FieldInfo) -> list[Any]:
    return [part for part in _said(field) if type(part) in _BOUNDS]


def _branches(annotation: Any) -> tuple[Any, ...]:
    """What a value may be, one by one, without what is said of it."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in _branches(part))
    if get_origin(annotation) is Annotated:
        return _branches(get_args(annotation)[0])
    return (annotation,)


def _said(field: FieldInfo) -> Iterator[Any]:
    """All that is said of a field's values, whether of each or of those that are not null."""
    found = list(field.metadata)
    for part in (field.annotation, *get_args(field.annotation)):
        if get_origin(part) is Annotated:
            found.extend(part.__metadata__)
    for part in found:
        yield from part.metadata if isinstance(part, FieldInfo) else (part,)


def _meta(field: FieldInfo) -> dict[str, Any]:
    """A field's bounds as msgspec calls them."""
    meta: dict[str, Any] = {}
    for part in _said(field):
        if type(part) in _BOUNDS:
            bound = _BOUNDS[type(part)]
            meta[bound] = getattr(part, bound)
        elif isinstance(part, StringConstraints):
            bounds = {each: getattr(part, each) for each in ("min_length", "max_length", "pattern")}
            meta |= {each: value for each, value in bounds.items() if value is not None}
    return meta


def _bounded(name: str, field: FieldInfo) -> Any:
    """The type by which msgspec keeps a field's bounds. Raises TypeError."""
    if _is_amount(field):
        return msgspec.Raw  # As it was written: no double between.
    for part in _said(field):
        if isinstance(part, AfterValidator | BeforeValidator) and part.func not in _HARMLESS:
            raise TypeError(
                f"{name} has a validator of its own, which no lean route can ask: give it a type"
                " of bounds alone"
            )
    meta = _meta(field)
    kinds = [
        Annotated[kind, msgspec.Meta(**meta)] if meta and kind is not NoneType else kind
        for kind in _branches(field.annotation)
        if kind is not Decimal  # The plain form of a quantity is whole.
    ]
    return functools.reduce(operator.or_, kinds)
