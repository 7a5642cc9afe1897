"""The proof: what the clients were told against what the API says now. Pure.

Two accounts are held side by side. The clients' own: what they opened with, which confirmations
and returns were acknowledged to them. The API's: each product's level, and its whole ledger. If
a thing that was acknowledged were lost, or one happened twice, they could not agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_FAULTS_KEPT = 100


class Level(NamedTuple):
    """A product's level as the API gives it, in units; `quantity` is what is available."""

    quantity: int
    on_hand: int
    reserved: int


class Movement(NamedTuple):
    """A line of a product's ledger as the API gives it."""

    sequence: int
    kind: str
    on_hand_delta: int
    reserved_delta: int
    on_hand_after: int
    reserved_after: int
    reason: str | None
    reservation_id: str | None


@dataclass(slots=True)
class Account:
    """What was acknowledged to the clients about one product, in units. `confirmed` is by
    reservation id."""

    opening: int = 0
    returned: int = 0
    confirmed: dict[str, int] = field(default_factory=dict)

    @property
    def sold(self) -> int:
        return sum(self.confirmed.values())

    @property
    def expected(self) -> int:
        return self.opening - self.sold + self.returned


@dataclass(slots=True)
class Books:
    """The clients' accounts, by product id, and what they saw that must not be."""

    accounts: dict[str, Account] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def opened(self, product_id: str, units: int) -> None:
        self.accounts[product_id] = Account(opening=units)

    def sold(self, reservation_id: str, units: Mapping[str, int]) -> None:
        """An acknowledged confirmation, units by product id."""
        for product_id, quantity in units.items():
            confirmed = self.accounts[product_id].confirmed
            if reservation_id in confirmed:
                self.faults.append(f"reservation {reservation_id} was given to two sales")
            confirmed[reservation_id] = quantity

    def came_back(self, units: Mapping[str, int]) -> None:
        """An acknowledged return, units by product id."""
        for product_id, quantity in units.items():
            self.accounts[product_id].returned += quantity


@dataclass(slots=True)
class Proof:
    """Totals over all products, in units, and every contradiction found (the first hundred)."""

    products: int = 0
    movements: int = 0
    opening: int = 0
    confirmed: int = 0
    returned: int = 0
    stock: int = 0
    fault_count: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.fault_count == 0 and self.products > 0

    def found(self, faults: Iterable[str]) -> None:
        for fault in faults:
            self.fault_count += 1
            if len(self.faults) < MAX_FAULTS_KEPT:
                self.faults.append(fault)

    def add(self, name: str, account: Account, level: Level, ledger: Sequence[Movement]) -> None:
        """Checks one product; `ledger` is all of it, oldest first."""
        self.products += 1
        self.movements += len(ledger)
        self.opening += account.opening
        self.confirmed += account.sold
        self.returned += account.returned
        self.stock += level.on_hand
        faults = [
            *_level_faults(account, level),
            *_sum_faults(level, ledger),
            *_told_faults(account, ledger),
        ]
        self.found(f"{name}: {fault}" for fault in faults)


def _level_faults(account: Account, level: Level) -> Iterable[str]:
    """Opening stock less what was confirmed plus what came back is the stock; nothing is held."""
    if level.on_hand != account.expected:
        yield (
            f"stock is {level.on_hand}, but {account.opening} at opening - {account.sold} "
            f"confirmed + {account.returned} returned = {account.expected}"
        )
    if level.reserved != 0:
        yield f"{level.reserved} are still reserved"
    if level.quantity != level.on_hand - level.reserved:
        yield f"{level.quantity} are available of {level.on_hand} with {level.reserved} reserved"
    if account.sold > account.opening + account.returned:
        yield f"sold {account.sold} of {account.opening + account.returned}"


def _sum_faults(level: Level, ledger: Sequence[Movement]) -> Iterable[str]:
    """The ledger adds up to the level, line by line, and never went below nothing."""
    on_hand = reserved = sequence = 0
    for line in ledger:
        on_hand += line.on_hand_delta
        reserved += line.reserved_delta
        if line.sequence <= sequence:
            yield f"ledger line {line.sequence} comes after line {sequence}"
        sequence = line.sequence
        if (line.on_hand_after, line.reserved_after) != (on_hand, reserved):
            yield (
                f"ledger line {sequence} says {line.on_hand_after} on hand and "
                f"{line.reserved_after} reserved; it adds up to {on_hand} and {reserved}"
            )
            return
        if not 0 <= reserved <= on_hand:
            yield f"oversold at ledger line {sequence}: {reserved} reserved of {on_hand}"
    if (on_hand, reserved) != (level.on_hand, level.reserved):
        yield (
            f"the ledger adds up to {on_hand} on hand and {reserved} reserved; the level says "
            f"{level.on_hand} and {level.reserved}"
        )


def _told_faults(account: Account, ledger: Sequence[Movement]) -> Iterable[str]:
    """The ledger tells what the clients were told: each confirmation once, and nothing else."""
    confirmed: Counter[str] = Counter()
    received = returned = 0
    for line in ledger:
        match line.kind:
            case "received":
                received += line.on_hand_delta
            case "adjusted" if line.reason == "returned":
                returned += line.on_hand_delta
            case "confirmed":
                confirmed[str(line.reservation_id)] -= line.on_hand_delta
            case _ if line.on_hand_delta:
                yield f"ledger line {line.sequence} is {line.kind}, which nobody asked for"
    if received != account.opening:
        yield f"opened with {account.opening}; the ledger received {received}"
    if returned != account.returned:
        yield f"{account.returned} came back; the ledger has {returned}"
    for reservation_id in sorted(confirmed.keys() | account.confirmed.keys()):
        told, written = account.confirmed.get(reservation_id, 0), confirmed[reservation_id]
        if told != written:
            yield f"reservation {reservation_id} took {told}; the ledger has {written}"
