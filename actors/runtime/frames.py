"""Frames on a stream: the length of a body, the frame's number, the body.

A frame that is too large, missing or there twice, or whose body nobody understands, ends its
stream and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from abc import ABC, abstractmethod
from typing import Any

from core.telemetry import get_logger

MAX_FRAME_BYTES = 16 << 20
# Of what was written and not taken off yet: above it, the writer has to wait.
HIGH_WATER_BYTES = 1 << 20

_HEAD = struct.Struct(">II")
_NUMBERS = 1 << 32
_PEER = struct.Struct("3i")  # pid, uid, gid

log = get_logger("runtime.frames")


class Frames(asyncio.Protocol, ABC):
    """One end of a stream; a subclass says what is done with what is `heard`."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._rest = bytearray()
        self._needed = 0
        self._sent = 0
        self._received = 0
        # The other side does not read at present; whatever is sent now gathers in memory.
        self.paused = False
        self.lost = False

    @property
    def was_heard(self) -> bool:
        """Whether the other end has ever said something sound."""
        return self._received > 0

    @abstractmethod
    def heard(self, body: memoryview) -> None:
        """A frame's body. Whatever it raises ends the stream."""

    def send(self, body: bytes) -> None:
        """Sends a frame of at most MAX_FRAME_BYTES."""
        if self._transport.is_closing():
            return  # `connection_lost` follows, and says to whom it matters
        head = _HEAD.pack(len(body), self._sent)
        self._sent = (self._sent + 1) % _NUMBERS
        self._transport.write(head + body)

    def drop(self, why: str) -> None:
        """Ends the stream at once; what was written and not read is lost."""
        if not self.lost:
            self.lost = True
            log.warning("stream dropped", end=type(self).__name__, why=why)
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        if not is_of_this_user(transport):
            self.drop("it is another user's")

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._rest.clear()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def data_received(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        try:
            left = self._hear_all(memoryview(data))
        except Exception:
            log.exception("frame not understood")
            self.drop("a frame was not understood")
        else:
            self._rest += left

    def _hear_all(self, data: memoryview) -> memoryview:
        """Hears the frames that are whole; returns what is left."""
        while len(data) >= _HEAD.size and not self.lost:
            length, number = _HEAD.unpack_from(data)
            if length > MAX_FRAME_BYTES:
                self.drop(f"a frame of {length} bytes")
            elif number != self._received:
                self.drop(f"frame {number} where {self._received} was due")
            elif len(data) < _HEAD.size + length:
                self._needed = _HEAD.size + length
                return data
            else:
                self._received = (number + 1) % _NUMBERS
                self.heard(data[_HEAD.size : _HEAD.size + length])
                data = data[_HEAD.size + length :]
        self._needed = _HEAD.size
        return data[:0] if self.lost else data


def is_of_this_user(transport: Any) -> bool:
    """Whether the process at the other end runs as the same user. Where the system does not tell,
    the folder of the sockets, which only that user may enter, has to do."""
    peer = transport.get_extra_info("socket")
    if peer is None or not hasattr(socket, "SO_PEERCRED"):
        return True
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(found)[1] == os.geteuid())
