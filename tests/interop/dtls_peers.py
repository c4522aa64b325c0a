# Real DTLS peers for the tests: OpenSSL's s_server, libcoap, a pyOpenSSL server
# SPDX-License-Identifier: MIT
"""Everything binds 127.0.0.1 on a port that was free, and ends with its context manager."""

import json
import random
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

from tools.build.mpy import micropython

ROOT = Path(__file__).resolve().parents[2]
DEVICE = ROOT / "tests" / "interop" / "dtls_device.py"
LOCAL = "127.0.0.1"


def free_port(room: int = 1) -> int:
    """A UDP port that is free, with `room` - 1 free ones behind it."""
    while True:
        port = random.randint(20000, 50000)
        held = []
        try:
            for n in range(room):
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind((LOCAL, port + n))
            return port
        except OSError:
            continue
        finally:
            for s in held:
                s.close()


class Device:
    """A secure channel on MicroPython, in a child process that takes JSON lines."""

    def __init__(self, port: int, identity: str | None, key: bytes | None, heap="2m", **more):
        self.child = subprocess.Popen(
            [micropython(), "-X", f"heapsize={heap}", str(DEVICE)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        r = self.call(
            "new", host=LOCAL, port=port, identity=identity, key=key.hex() if key else None, **more
        )
        if "exception" in r:
            self.__exit__()
            raise ValueError(r["exception"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()

    def call(self, op: str, **more) -> dict:
        """One operation; what it answers, with the channel's state."""
        self.child.stdin.write(json.dumps({"op": op, **more}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"the device ended with {self.child.wait()} in {op}")
        return json.loads(line)

    def connect(self, ms: int = 8000) -> dict:
        return self.call("connect", ms=ms)

    def send(self, data: bytes, ms: int = 3000, count: int = 1) -> list[bytes]:
        """Send, and what came back until `count` answers are there."""
        r = self.call("send", data=data.hex(), ms=ms, count=count)
        if "exception" in r:
            raise OSError(r["exception"])
        return [bytes.fromhex(d) for d in r["data"]]


class Child:
    """A server program; its output is kept in `lines`."""

    def __init__(self, command: list[str], port: int, ready: str | None = None):
        self.port = port
        self.lines: list[str] = []
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if ready:
            self.expect(ready)
        else:
            self._bound()

    def _read(self):
        for line in self.child.stdout:
            self.lines.append(line.rstrip("\n"))

    def _bound(self, seconds: float = 10):
        # /proc tells it without sending the server anything.
        want = f"{self.port:04X}"
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(
                row.split()[1].endswith(":" + want)
                for row in Path("/proc/net/udp").read_text().splitlines()[1:]
            ):
                return
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"no server on port {self.port}: {self.lines}")

    def expect(self, text: str, seconds: float = 10) -> str:
        """The first line that holds a text, once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.lines:
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no {text!r} in {self.lines}")

    def write(self, text: str):
        self.child.stdin.write(text)
        self.child.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        self.child.stdin.close()
        self.child.stdout.close()


def s_server(
    identity: str, key: bytes, suite: str = "PSK-AES128-CCM8", *more: str, port: int | None = None
) -> Child:
    """OpenSSL's test server; what it gets goes to its output, what is written to it goes to the client."""
    port = port or free_port()
    command = [
        "openssl",
        "s_server",
        "-dtls1_2",
        "-nocert",
        "-psk",
        key.hex(),
        "-psk_identity",
        identity,
    ]
    command += ["-cipher", suite + ":@SECLEVEL=0", "-accept", f"{LOCAL}:{port}", *more]
    return Child(command, port, "ACCEPT")


def s_server_x509(cert: Path, key: Path, ca: Path) -> Child:
    """The same with certificates, PEM files; it asks for the client's, issued by `ca`."""
    port = free_port()
    command = [
        "openssl",
        "s_server",
        "-dtls1_2",
        "-cert",
        str(cert),
        "-key",
        str(key),
        "-CAfile",
        str(ca),
    ]
    command += ["-Verify", "1", "-verify_return_error", "-accept", f"{LOCAL}:{port}"]
    return Child(command, port, "ACCEPT")


def coap_server(library: str, key: bytes) -> Child:
    """libcoap's server on coaps, with "openssl" or "gnutls"."""
    port = free_port(2)
    command = [f"coap-server-{library}", "-A", LOCAL, "-p", str(port), "-k", key.decode()]
    return Child(command, port + 1)


class OpenSslServer:
    """A PSK server for many peers on one UDP socket, with cookies; it echoes what it gets.

    keys: identity: key. `forget()` loses all sessions without a word, as a restart does.
    """

    def __init__(self, keys: dict[bytes, bytes], suites: str = "PSK-AES128-CCM8", mtu: int = 1200):
        binding = Binding()
        self.ffi, self.lib = binding.ffi, binding.lib
        self.keys = keys
        self.suites = suites
        self.mtu = mtu
        self.got: list[bytes] = []
        self.handshakes = 0
        self.resumed = 0
        self.errors: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOCAL, 0))
        self.port = self.socket.getsockname()[1]
        self.forget()
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        self.socket.close()

    def forget(self):
        c = SSL.Context(SSL.DTLS_SERVER_METHOD)
        c.set_cipher_list(self.suites.encode() + b":@SECLEVEL=0")
        c.set_session_id(b"test")
        c.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
        # A ticket would take the place of the session id.
        c.set_options(SSL.OP_NO_TICKET)
        c.set_cookie_generate_callback(lambda _: b"cookie")
        c.set_cookie_verify_callback(lambda _, cookie: cookie == b"cookie")

        # pyOpenSSL has no face for this one.
        @self.ffi.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)")
        def psk(_, identity, out, room):
            key = self.keys.get(self.ffi.string(identity), b"")
            self.ffi.memmove(out, key, len(key))
            return len(key)

        self.psk = psk
        self.lib.SSL_CTX_set_psk_server_callback(c._context, psk)
        self.context = c
        self.peers: dict[tuple, SSL.Connection] = {}
        self.shaken: set[tuple] = set()

    def _run(self):
        while self.running:
            ready, _, _ = select.select([self.socket], [], [], 0.05)
            if ready:
                data, address = self.socket.recvfrom(4096)
                try:
                    self._datagram(data, address)
                except SSL.Error as e:
                    self.errors.append(str(e))
                    self._flush(self.peers.pop(address, None), address)
                    self.shaken.discard(address)
            for address, c in list(self.peers.items()):
                left = c.DTLSv1_get_timeout()
                if left is not None and left <= 0 and address not in self.shaken:
                    c.DTLSv1_handle_timeout()
                    self._flush(c, address)

    def _flush(self, c, address):
        while c:
            try:
                data = c.bio_read(65536)
            except SSL.WantReadError:
                break
            for part in split(data):
                self.socket.sendto(part, address)

    def _datagram(self, data, address):
        c = self.peers.get(address)
        if (
            c
            and address in self.shaken
            and data[0] == 22
            and data[3:5] == b"\0\0"
            and data[13] == 1
        ):
            # A ClientHello from the address of a session: the client began anew (RFC 6347 4.2.8).
            self.shaken.discard(address)
            del self.peers[address]
            c = None
        if not c:
            if data[0] != 22:
                return
            c = SSL.Connection(self.context)
            c.set_accept_state()
            c.set_ciphertext_mtu(self.mtu)
            c.bio_write(data)
            try:
                c.DTLSv1_listen()
            except SSL.WantReadError:
                self._flush(c, address)
                return
            self.peers[address] = c
        else:
            c.bio_write(data)
        if address not in self.shaken:
            try:
                c.do_handshake()
                self.shaken.add(address)
                self.handshakes += 1
                self.resumed += self.lib.SSL_session_reused(c._ssl)
            except SSL.WantReadError:
                pass
            finally:
                self._flush(c, address)
        while address in self.shaken:
            try:
                text = c.recv(4096)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.peers.pop(address)
                self.shaken.discard(address)
                break
            self.got.append(text)
            c.send(text)
        self._flush(c, address)


def split(data: bytes) -> list[bytes]:
    """The records in what a memory BIO gave: it keeps no bounds of datagrams."""
    parts = []
    while data:
        n = 13 + int.from_bytes(data[11:13], "big")
        parts.append(data[:n])
        data = data[n:]
    return parts
