"""The command log's days: partitions made ahead, and dropped after a week, beside traffic.

Nothing here waits for a lock for longer than `LOCK_TIMEOUT`, because a session that waits makes all
wait that come after: a backup of an hour would stop every write. What cannot be locked is left for
the next time.
"""

from __future__ import annotations

import asyncpg

# One that is half detached goes first: there can be one only.
_OLD = """
SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'command_log'::regclass AND c.relname ~ '^command_log_p[0-9]{8}$'
AND (i.inhdetachpending OR to_date(right(c.relname, 8), 'YYYYMMDD')
  < (now() AT TIME ZONE 'UTC')::date - 8)
ORDER BY i.inhdetachpending DESC, c.relname
"""


async def rotate(connection: asyncpg.Connection) -> bool:
    """Makes the coming fourteen days' partitions and drops those over a week old. `connection` is
    the host role's, which owns the log, with a `lock_timeout`. Returns whether all is done."""
    try:
        await connection.execute("SELECT rotate_command_log()")
        old = await connection.fetch(_OLD)
        for name, is_pending in old:
            # Neither runs in a transaction or a function. Readers of the log are waited for, and
            # nobody waits meanwhile; cut short, it is finished the next time.
            how = "FINALIZE" if is_pending else "CONCURRENTLY"
            await connection.execute(f"ALTER TABLE command_log DETACH PARTITION {name} {how}")
        if old:
            await connection.execute("SELECT rotate_command_log()")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return False
    return True
