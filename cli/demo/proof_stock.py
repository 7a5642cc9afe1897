"""The part of the proof that is about goods: opening - sold + returned = stock. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cli.demo.books import Account
from cli.demo.documents import Units
from cli.demo.proof import Proof


class Level(NamedTuple):
    """A product's level as the API gives it, in units; `quantity` is what is available."""

    quantity: Units
    on_hand: Units
    reserved: Units


class Movement(NamedTuple):
    """A line of a product's ledger as the API gives it."""

    sequence: int
    kind: str
    on_hand_delta: Units
    reserved_delta: Units
    on_hand_after: Units
    reserved_after: Units
    reason: str | None
    reference: str | None
    reservation_id: str | None


def prove_stock(
    proof: Proof, name: str, account: Account, level: Level, ledger: Sequence[Movement]
) -> None:
    """Checks one product; `ledger` is all of it, oldest first."""
    totals = proof.stock
    totals.products += 1
    totals.movements += len(ledger)
    totals.opening += account.opening
    totals.sold += account.sold
    totals.returned += account.came_back
    totals.adjusted += account.adjusted
    totals.stock += level.on_hand
    proof.found(_level_faults(account, level), name)
    proof.found(_sum_faults(level, ledger), name)
    proof.found(_told_faults(account, ledger), name)


def _level_faults(account: Account, level: Level) -> Iterable[str]:
    """Opening stock less what was sold plus what came back is the stock; nothing is held."""
    if level.on_hand != account.expected:
        yield (
            f"stock is {level.on_hand}, but {account.opening} at opening - {account.sold} sold "
            f"+ {account.came_back} returned = {account.expected}"
        )
    if level.reserved != 0:
        yield f"{level.reserved} are still reserved"
    if level.quantity != level.on_hand - level.reserved:
        yield f"{level.quantity} are available of {level.on_hand} with {level.reserved} reserved"
    if account.sold > account.opening + account.came_back:
        yield f"sold {account.sold} of {account.opening + account.came_back}"


def _sum_faults(level: Level, ledger: Sequence[Movement]) -> Iterable[str]:
    """The ledger adds up to the level, line by line, and never went below nothing."""
    on_hand: Units = 0
    reserved: Units = 0
    sequence = 0
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
    """The ledger tells what the clients were told: each sale, confirmation and return once, and
    nothing else."""
    taken: defaultdict[str, Units] = defaultdict(int)
    returned: defaultdict[str, Units] = defaultdict(int)
    received: Units = 0
    adjusted: Units = 0
    for line in ledger:
        match line.kind:
            case "received":
                received += line.on_hand_delta
            case "adjusted" if line.reason == "returned":
                adjusted += line.on_hand_delta
            case "confirmed":
                taken[str(line.reservation_id)] -= line.on_hand_delta
            case "sold":
                taken[str(line.reference)] -= line.on_hand_delta
            case "returned":
                returned[str(line.reference)] += line.on_hand_delta
            case _ if line.on_hand_delta:
                yield f"ledger line {line.sequence} is {line.kind}, which nobody asked for"
    if received != account.opening:
        yield f"opened with {account.opening}; the ledger received {received}"
    if adjusted != account.adjusted:
        yield f"{account.adjusted} came back without a sale; the ledger has {adjusted}"
    yield from _differences(account.taken, taken, "took")
    yield from _differences(account.returned, returned, "brought back")


def _differences(
    told: Mapping[str, Units], written: Mapping[str, Units], did: str
) -> Iterable[str]:
    for source in sorted(told.keys() | written.keys()):
        if told.get(source, 0) != written.get(source, 0):
            yield (f"{source} {did} {told.get(source, 0)}; the ledger has {written.get(source, 0)}")
