"""People: accounts, sessions, memberships, keys."""
