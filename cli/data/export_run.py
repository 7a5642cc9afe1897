"""Runs an export from the command line: page after page into one file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli.api.client import ApiError, Unreachable
from cli.api.sign_in import Caller
from deployments.catalog.files.exports import MAX_PRODUCTS, NEXT_HEADER


class Stopped(Exception):
    """The export did not come to its end; the message says why. No file was written."""


def run(caller: Caller, file: Path) -> int:
    """Writes the catalogue and returns how many lines that were. Raises Stopped."""
    # Next to it first: a file of that name is always whole.
    partial = file.with_name(f".{file.name}.holdfast-export")
    try:
        lines = asyncio.run(_write(caller, partial))
        partial.replace(file)
    except (ApiError, Unreachable, OSError) as error:
        partial.unlink(missing_ok=True)
        raise Stopped(str(error)) from error
    return lines


async def _write(caller: Caller, path: Path) -> int:
    lines, after = 0, None
    async with caller.client() as client:
        with path.open("wb") as file:
            while True:
                page = {"after": after, "limit": MAX_PRODUCTS}
                reply = await client.request("GET", "/api/products/export", params=page)
                if not reply.ok:
                    raise ApiError(reply)
                file.write(reply.content)
                lines += reply.content.count(b"\n")
                after = reply.headers.get(NEXT_HEADER)
                if after is None:
                    return lines
