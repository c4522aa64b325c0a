# What DTLS costs on a Cortex-M3: runs on the emulated board, by `make bench`
# SPDX-License-Identifier: MIT
# profile: full
# after: tests/unit/recordings.py
#
# The board has SHA-256 in C, but no AES: that is ours, as machine code where the image has it (viper). The cases
# "without AES" are nearer to a board that has it in C too, where a block takes some 1,000 instructions.
import gc
from binascii import unhexlify
from lwm2m.dtls import ccm
from lwm2m.crypto.prf import prf
from lwm2m.dtls.ccm import Ccm
from lwm2m.dtls.record import Connection

try:
    from lwm2m.crypto.viper import cipher

    NAME = "AES by viper"
except ImportError:
    NAME = "AES in bytecode"


class Sink:
    sent = bytes_ = 0

    def send(self, buf, start, end):
        self.sent += 1
        self.bytes_ += end - start


SERVER = [unhexlify(row[2:]) for row in MBEDTLS if row[0] == "<"]
sink = Sink()
c = None


def fresh():
    global c
    c = Connection(
        sink,
        "device",
        bytes(range(16)),
        cid=4,
        random=lambda n: bytes(range(n)),
        save=lambda b: None,
    )


def handshake():
    c.connect(0)
    for d in SERVER[:3]:
        c.feed(d, 0)


class Same:
    """AES that does nothing, to see what all the rest costs: as with AES in C, nearly."""

    def __init__(self, key, mode, iv=None):
        pass

    def encrypt(self, src, dst=None):
        if dst is None:
            return bytes(src)
        dst[: len(src)] = src


def records(name):
    number = bytes((0, 1, 0, 0, 0, 0, 0, 5))
    cipher = Ccm(bytes(40), 0, 0, b"")
    for n in (100, 1024):
        b = bytearray(n + 64)
        m = memoryview(b)
        case("seal %d bytes, %s" % (n, name), lambda: cipher.seal(23, number, m, 32, 32 + n))
        r = m[24 : 40 + n]
        case("open %d bytes, %s" % (n, name), lambda: cipher.open(23, number, r))


gc.collect()
before = gc.mem_alloc()
fresh()
case("handshake, " + NAME, handshake, cold=True)
if c.state != 2:
    raise ValueError("handshake")
gc.collect()
print("  heap of an open connection: %d bytes" % (gc.mem_alloc() - before))
case("48 bytes of the PRF", lambda: prf(bytes(48), bytes(77), 48))
block = bytearray(16)
aes = ccm.aes(bytes(16), 1)
case("a block, " + NAME, lambda: aes.encrypt(block, block))
buf = bytearray(200)
session = c.dump(True)


def wake():
    global c
    c = Connection(
        sink, "device", bytes(range(16)), cid=4, session=session, random=len, save=lambda b: None
    )
    c.send(buf, 60, 160)


if NAME == "AES by viper":
    records(NAME)
    case("wake up by Connection ID and send 100 bytes, " + NAME, wake)
kept = ccm.aes
ccm.aes = Same
records("without AES")
case("wake up by Connection ID and send 100 bytes, without AES", wake)
ccm.aes = kept
if c.state != 2:
    raise ValueError("wake")
