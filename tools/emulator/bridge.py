# The host end of the emulated board's network: frames on a serial line become datagrams on real UDP sockets
# SPDX-License-Identifier: MIT
"""python -m tools.emulator.bridge /path/of/socket     (then start QEMU with -serial unix:/path/of/socket)

The device end, and the frames, are described in boards/QEMU_MPS2_AN385/lwm2m_port.py. The bridge also gives the board 32
bytes of entropy and the time of day.
"""

from __future__ import annotations

import argparse
import errno
import os
import selectors
import socket
import sys
import threading
import time
from pathlib import Path

HELLO, OPEN, DATA, CLOSE = 1, 2, 3, 4
_START = 0xA5
_LIMIT = 1499


def frame(kind: int, channel: int, body: bytes = b"") -> bytes:
    """One frame, ready for the line."""
    inner = bytes((kind, channel)) + len(body).to_bytes(2, "big") + body
    return bytes((_START,)) + inner + bytes((sum(inner) & 255,))


def frames(buffer: bytearray):
    """Takes every whole frame off the buffer and yields (kind, channel, body); noise is dropped."""
    while True:
        start = buffer.find(_START)
        if start < 0:
            buffer.clear()
            return
        del buffer[:start]
        if len(buffer) < 5:
            return
        size = buffer[3] << 8 | buffer[4]
        if size > _LIMIT:
            del buffer[0]
            continue
        if len(buffer) < size + 6:
            return
        if sum(buffer[1 : size + 5]) & 255 != buffer[size + 5]:
            del buffer[0]
            continue
        kind, channel, body = buffer[1], buffer[2], bytes(buffer[5 : size + 5])
        del buffer[: size + 6]
        yield kind, channel, body


class Bridge:
    """Listens on a UNIX socket for QEMU's serial line, and serves it in a thread of its own until close().

    entropy is called for the 32 bytes that the board gets; a test that must repeat gives its own.
    """

    def __init__(self, path: str | Path, entropy=lambda: os.urandom(32), verbose: bool = False):
        self.path = str(path)
        self.datagrams = {"out": 0, "in": 0}
        self.bytes = {"out": 0, "in": 0}
        self._entropy = entropy
        self._verbose = verbose
        self._line: socket.socket | None = None
        self._sockets: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, self._stop)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._buffer = bytearray()
        self._running = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread and closes every socket."""
        if self._running:
            self._wake.send(b"x")
        self._thread.join()
        Path(self.path).unlink(missing_ok=True)

    def rebind(self) -> None:
        """Gives every open channel a new source port, as a NAT that forgot its bindings does."""
        for channel, old in list(self._sockets.items()):
            new = socket.socket(old.family, socket.SOCK_DGRAM)
            new.connect(old.getpeername())
            new.setblocking(False)
            self._selector.unregister(old)
            self._sockets[channel] = new
            self._selector.register(new, selectors.EVENT_READ, lambda c=channel: self._incoming(c))
            old.close()

    def _serve(self) -> None:
        while self._running:
            for key, _ in self._selector.select():
                key.data()
        for sock in (*self._sockets.values(), self._line, self._listener, self._wake, self._woken):
            if sock:
                sock.close()
        self._selector.close()

    def _stop(self) -> None:
        self._running = False

    def _accept(self) -> None:
        line, _ = self._listener.accept()
        if self._line:
            line.close()
            return
        self._line = line
        self._selector.register(line, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        try:
            chunk = self._line.recv(4096)
        except OSError:
            chunk = b""
        if not chunk:
            self._selector.unregister(self._line)
            self._line.close()
            self._line = None
            for channel in list(self._sockets):
                self._close(channel)
            return
        self._buffer += chunk
        for kind, channel, body in frames(self._buffer):
            if kind == HELLO:
                now = int(time.time()).to_bytes(4, "big")
                self._reply(HELLO, 0, now + self._entropy())
            elif kind == OPEN:
                self._reply(OPEN, channel, bytes((self._open(channel, body),)))
            elif kind == CLOSE:
                self._close(channel)
            elif kind == DATA and channel in self._sockets:
                self._count("out", channel, body)
                try:
                    self._sockets[channel].send(body)
                except OSError as error:
                    # A datagram that cannot be sent is a datagram lost.
                    self._say(f"{channel}: {error}")

    def _open(self, channel: int, body: bytes) -> int:
        self._close(channel)
        family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(body[0], socket.AF_UNSPEC)
        port = body[1] << 8 | body[2]
        try:
            name = body[3:].decode()
            found = socket.getaddrinfo(name, port, family, socket.SOCK_DGRAM)[0]
            sock = socket.socket(found[0], socket.SOCK_DGRAM)
            sock.connect(found[4])
        except socket.gaierror:
            return errno.EHOSTUNREACH
        except (OSError, UnicodeError) as error:
            return getattr(error, "errno", None) or errno.EINVAL
        sock.setblocking(False)
        self._sockets[channel] = sock
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._incoming(channel))
        self._say(f"{channel}: open to {found[4][0]} port {port}")
        return 0

    def _close(self, channel: int) -> None:
        sock = self._sockets.pop(channel, None)
        if sock:
            self._selector.unregister(sock)
            sock.close()

    def _incoming(self, channel: int) -> None:
        try:
            body = self._sockets[channel].recv(65535)
        except OSError as error:
            # A refused port shows up here; a client finds out by its own timers.
            self._say(f"{channel}: {error}")
            return
        if len(body) <= _LIMIT:
            self._count("in", channel, body)
            self._reply(DATA, channel, body)

    def _reply(self, kind: int, channel: int, body: bytes) -> None:
        if self._line:
            try:
                self._line.sendall(frame(kind, channel, body))
            except OSError as error:
                self._say(str(error))

    def _count(self, way: str, channel: int, body: bytes) -> None:
        self.datagrams[way] += 1
        self.bytes[way] += len(body)
        self._say(f"{channel}: {'->' if way == 'out' else '<-'} {len(body)} bytes")

    def _say(self, text: str) -> None:
        if self._verbose:
            print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Command line: serves one line until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.emulator.bridge")
    parser.add_argument("path", help="UNIX socket to listen on")
    options = parser.parse_args(arguments)
    with Bridge(options.path, verbose=True):
        print(f"start QEMU with: -serial unix:{options.path}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
