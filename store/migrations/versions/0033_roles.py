"""The two roles that serve: neither owns a table, neither is a superuser.

Where the server's administrator made them beforehand, they are taken as they are.
"""

from __future__ import annotations

from alembic import op

from core.settings import get_settings
from store.kit.schema import APP_ROLE, HOST_ROLE

revision = "0033_roles"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    settings = get_settings()
    passwords = {
        APP_ROLE: settings.app_database_password,
        HOST_ROLE: settings.host_database_password,
    }
    for role, password in passwords.items():
        secret = f"PASSWORD {_quoted(password)}" if password else ""
        op.execute(
            f"DO $$ BEGIN CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {secret};"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        op.execute(f"GRANT USAGE ON SCHEMA public TO {role}")


def _quoted(password: str) -> str:
    if "$" in password or "\\" in password:
        raise ValueError("a database password may hold neither $ nor a backslash")
    return "'" + password.replace("'", "''") + "'"
