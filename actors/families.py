"""The families of this build: their pure rules joined with their tables."""

from __future__ import annotations

from typing import Any

from actors.composite import CompositeRules
from actors.messages import Command
from actors.outbox import OutboxRow
from actors.purchasing.module import PURCHASING_MODULE
from actors.runtime.family import Families, Family
from actors.stock.module import STOCK_MODULE
from actors.till.module import TILL_MODULE
from store.hosts.aggregates import AggregateLoader
from store.inventory import purchasing, stock, transfers
from store.pos import writing

COMMERCE = "commerce"

# A sale changes stock, a drawer and a gift card in one decision: all of them live here.
commerce = CompositeRules((STOCK_MODULE, TILL_MODULE, PURCHASING_MODULE))

_tables = AggregateLoader((stock.TABLES, transfers.TABLES, writing.TABLES, purchasing.TABLES))

_tables.check(
    {"outbox": OutboxRow, **commerce.rows},
    {kind: restore.row for kind, restore in commerce.restores.items()},
)

FAMILIES: Families = {COMMERCE: Family(COMMERCE, _tables, commerce)}


def encode_command(command: Command[Any]) -> bytes:
    """A commerce command as it travels."""
    return commerce.encode(command)


def decode_reply(body: bytes) -> Any:
    """A commerce reply as it travelled: a `Refused`, or what the command's module answers."""
    return commerce.decode_reply(body)
