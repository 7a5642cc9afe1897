"""Alembic's entry: runs migrations over the connection that `store.kit.migrate` hands it."""

from __future__ import annotations

from alembic import context

from store.kit.migrate import all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
