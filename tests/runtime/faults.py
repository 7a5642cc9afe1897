"""How what goes between replicas and hosts goes wrong."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field


@dataclass
class Faults:
    """Probabilities per call, and per frame of a stream; only a stream can be cut."""

    rng: random.Random = field(default_factory=random.Random)
    lose_request: float = 0.0
    lose_answer: float = 0.0
    repeat: float = 0.0
    cut: float = 0.0
    max_delay_seconds: float = 0.0

    def strikes(self, probability: float) -> bool:
        return self.rng.random() < probability

    async def delay(self) -> None:
        if self.max_delay_seconds:
            await asyncio.sleep(self.rng.random() * self.max_delay_seconds)
