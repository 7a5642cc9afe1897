"""What tables ask of the capabilities; their own rules are in `store.kit.table_rules` and
`store.kit.write_rules`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployments.kit.capability import Capability
from deployments.pattern.faults import Fault
from store.kit import table_rules, write_rules
from store.kit.migrate import all_tables


def faults(capabilities: Sequence[Capability]) -> Iterator[Fault]:
    """Columns that are of another shape than all, and writes that are another's."""
    uses = [uses for capability in capabilities for uses in capability.location_uses]
    for name, text in table_rules.breaks(all_tables().sorted_tables, uses):
        yield Fault(name, text)
    for name, text in write_rules.breaks():
        yield Fault(name, text)
