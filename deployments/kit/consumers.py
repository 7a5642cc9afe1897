"""What a consumer of events is: what it does about which of them. `deployments.kit.event_reader`
has it done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from core.events import Delivery, Event
from store.kit.engine import Transaction

MAX_RETRY_SECONDS = 600.0

Handle = Callable[[Transaction, UUID, Delivery], Awaitable[None]]
HandleAll = Callable[[Transaction, UUID, Sequence[Delivery]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """`handle(tx, tenant_id, delivery)` does what is to be done about an event of `kinds`. It
    writes through `tx`, in whose scope is the event's tenant (for what concerns a person alone,
    the user), and does nothing that cannot be rolled back: it asks no shard host and sends
    nothing. What it raises counts as a failed attempt, and so does taking more than ten seconds.

    `handle_all` does the same for several of a tenant in their order, if that can be done faster
    than one after another. `name` is permanent, and further `kinds` are another consumer's: during
    a deploy the build before passes over what it does not want. A new consumer begins with what is
    emitted from now on (`begins="now"`), or with the oldest event that is kept, a week ago.
    """

    name: str
    kinds: tuple[type[Event], ...]
    handle: Handle
    handle_all: HandleAll | None = None
    begins: Literal["now", "oldest"] = "now"
    max_attempts: int = 8
    retry_seconds: float = 2.0

    def pause_seconds(self, attempts: int) -> float:
        """How long a failed event waits after so many attempts: half an hour in all."""
        return float(min(self.retry_seconds * 4 ** (attempts - 1), MAX_RETRY_SECONDS))


def check_names(consumers: Iterable[Consumer]) -> None:
    """Raises ValueError if two have one name, and so one position: each would miss what the other
    reads."""
    names = [consumer.name for consumer in consumers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two consumers are called {', '.join(twice)}")
