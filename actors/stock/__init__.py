"""Stock of goods: levels, holds and their ledger. Pure: no clock, no I/O."""
