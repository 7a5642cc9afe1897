"""Purchase orders: what was ordered of a supplier, and what came of it. Pure: no clock, no I/O."""
