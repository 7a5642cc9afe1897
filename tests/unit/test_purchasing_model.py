"""Purchase orders against a plain model: whatever comes in whatever order, what is incoming is
what is outstanding, and what is on hand is what came."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Refused
from actors.purchasing import model as p
from tests.unit.stock_bench import TENANT, StockBench

ITEMS = [UUID(int=n) for n in (1, 2, 3)]
ORDERS = [UUID(int=n) for n in (11, 12)]
TERMS = p.Terms(UUID(int=99), TENANT, "EUR")

some_lines = st.dictionaries(st.sampled_from(ITEMS), st.integers(1, 6), min_size=1)
steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(ORDERS), some_lines),
    st.tuples(st.just("place"), st.sampled_from(ORDERS)),
    st.tuples(st.just("receive"), st.sampled_from(ORDERS), some_lines, st.booleans()),
    st.tuples(st.just("cancel"), st.sampled_from(ORDERS)),
)


class Plain:
    """What a buyer with pencil and paper would note: by order its state and [wanted, came, lost]
    by item; and what came in all."""

    def __init__(self) -> None:
        self.state: dict[UUID, str] = {}
        self.lines: dict[UUID, dict[UUID, list[int]]] = {}
        self.came = dict.fromkeys(ITEMS, 0)

    def outstanding(self, order: UUID, item: UUID) -> int:
        wanted, came, lost = self.lines[order].get(item, (0, 0, 0))
        return max(wanted - came - lost, 0)

    def incoming(self, item: UUID) -> int:
        return sum(self.outstanding(o, item) for o in self.lines if self.state[o] == "open")

    def put(self, order: UUID, lines: dict[UUID, int]) -> bool:
        if self.state.setdefault(order, "draft") != "draft":
            return False
        self.lines[order] = {item: [n, 0, 0] for item, n in lines.items()}
        return True

    def place(self, order: UUID) -> bool:
        if self.state.get(order) != "draft":
            return False
        self.state[order] = "open"
        return True

    def receive(self, order: UUID, lines: dict[UUID, int], excess: bool) -> bool:
        if self.state.get(order) != "open":
            return False
        known = self.lines[order]
        if any(
            item not in known or (n > self.outstanding(order, item) and not excess)
            for item, n in lines.items()
        ):
            return False
        for item, n in lines.items():
            known[item][1] += n
            self.came[item] += n
        self._close(order)
        return True

    def cancel(self, order: UUID) -> bool:
        if self.state.get(order) not in ("draft", "open"):
            return False
        for item, line in self.lines[order].items():
            line[2] = self.outstanding(order, item)
        self.state[order] = "closed"
        return True

    def _close(self, order: UUID) -> None:
        if not any(self.outstanding(order, item) for item in self.lines[order]):
            self.state[order] = "closed"


@given(st.lists(steps, max_size=30))
def test_orders_are_what_a_plain_model_says(taken: list[tuple[object, ...]]) -> None:
    made, plain = StockBench(), Plain()
    for name, order, *rest in taken:
        assert isinstance(order, UUID)
        match name:
            case "put":
                lines = tuple(p.WantedLine(item, n, 100) for item, n in rest[0].items())
                command = p.PutPurchase(order, TERMS, lines, order not in plain.state)
                expected = plain.put(order, rest[0])
            case "place":
                command, expected = p.PlacePurchase(order), plain.place(order)
            case "receive":
                came = tuple(p.Delivered(item, n) for item, n in rest[0].items())
                command = p.ReceivePurchase(order, came, rest[1])
                expected = plain.receive(order, *rest)
            case _:
                command, expected = p.CancelPurchase(order), plain.cancel(order)
        reply = made.run(command)
        assert isinstance(reply, Refused) is not expected, (name, reply)
        for item in ITEMS:
            stock = made.stock(item)
            assert (stock.on_hand, stock.incoming) == (plain.came[item], plain.incoming(item))
    for change in made.ledger:
        if hasattr(change.event, "incoming_delta"):
            assert change.after.incoming >= 0
