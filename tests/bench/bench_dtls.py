# DTLS of ours beside MicroPython's own tls, in one run on this machine; bytes on the air of a handshake
# SPDX-License-Identifier: MIT
import re
import socket
import sys

from tests.interop.dtls_peers import ROOT, Device, OpenSslServer

IDENTITY = "urn:imei:123456789012345"
KEY = bytes(range(16))
SIZES = (100, 1024)
# Bytes of a first handshake, up and down, as docs and README tell them together.
HANDSHAKE = 588


def measure(backend: str, suite: str, size: int) -> dict:
    """Microseconds of a handshake, and of one record: sealed, opened, sealed and sent."""
    with (
        OpenSslServer({IDENTITY.encode(): KEY}, suite) as server,
        socket.socket(type=socket.SOCK_DGRAM) as sink,
    ):
        sink.bind(("127.0.0.1", 0))
        # The heap of a small board: a large one does not fit into the processor's caches.
        with Device(server.port, IDENTITY, KEY, backend=backend, heap="160k") as device:
            return device.call("time", size=size, sink=sink.getsockname()[1])


def on_air() -> tuple[int, int]:
    """Bytes up and down of a first handshake with Connection IDs, as recorded with mbedTLS."""
    text = (ROOT / "tests/unit/test_dtls_recorded.py").read_text()
    rows = re.findall(
        r'"([<>] [0-9a-f]+)', re.sub(r'"\n +"(?![<>])', "", text.partition("MBEDTLS = (")[2])
    )
    shake = rows[:6]
    return tuple(sum(len(r) // 2 - 1 for r in shake if r[0] == way) for way in "><")


def main() -> int:
    """Prints times and their ratios, which depend on the machine and its load: only a count can fail."""
    print("us of work, on this machine      ours   native    ratio")
    for size in SIZES:
        ours = measure("record", "PSK-AES128-CCM8", size)
        native = measure("native", "PSK-AES128-GCM-SHA256", size)
        for what in ("handshake", "seal", "open", "send"):
            ratio = ours[what] / native[what]
            name = what if what == "handshake" else f"{what} {size} bytes"
            print(f"  {name:24} {ours[what]:10.1f} {native[what]:8.1f} {ratio:8.2f}")
    up, down = on_air()
    print(f"bytes on the air: handshake with Connection ID {up} up, {down} down; after a sleep 0")
    if up + down > HANDSHAKE:
        print(
            f"error: the handshake has {up + down} bytes, {HANDSHAKE} are allowed", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
