"""What tables ask of the capabilities; their own rules are in `store.kit.table_rules`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployments.kit.capability import Capability
from deployments.pattern.faults import Fault
from store.kit.migrate import all_tables
from store.kit.table_rules import breaks


def faults(capabilities: Sequence[Capability]) -> Iterator[Fault]:
    """Columns that are of another shape than all."""
    uses = [uses for capability in capabilities for uses in capability.location_uses]
    for name, text in breaks(all_tables().sorted_tables, uses):
        yield Fault(name, text)
