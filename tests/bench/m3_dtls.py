# What DTLS costs on a Cortex-M3: runs on the emulated board, by `make bench`
# SPDX-License-Identifier: MIT
# profile: full
#
# The board has SHA-256 in C, but no AES: that is ours, as machine code where the image has it (viper). The cases
# "without AES" are nearer to a board that has it in C too, where a block takes some 1,000 instructions.
import gc
from binascii import unhexlify
from lwm2m.dtls import record
from lwm2m.dtls.handshake import prf
from lwm2m.dtls.record import Ccm, Secure

try:
    from lwm2m.dtls.viper import cipher

    NAME = "AES by viper"
except ImportError:
    NAME = "AES in bytecode"

# A handshake that was recorded with mbedTLS, with Connection IDs in both directions: identity "device".
ROWS = (
    "> 16fefd000000000000000000470100003b000000000000003bfefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f00000004c0a800ff0100000d00170000003600050400010203",
    "< 16fefd0000000000000000002f030000230000000000000023fefd206b0167be315ff813d8b87a4f62ea61"
    "7e0b8e49506a350e72f81bd46d305751f6",
    "> 16fefd000000000000000100670100005b000100000000005bfefd000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f00206b0167be315ff813d8b87a4f62ea617e0b8e49506a350e72f81b"
    "d46d305751f60004c0a800ff0100000d00170000003600050400010203",
    "< 16fefd000000000000000100680200005c000100000000005cfefd6b0167bed6b2875435fc79bece24170c"
    "170399f43ba5bc04f4e2d7f0d44c0aa320583ee4ee776cae0e5a8271849a5df25dc3b44ba287e3c6ef98992e"
    "16cedabe8cc0a8000014ff010001000036000706aabbccddeeff0017000016fefd0000000000000002000c0e"
    "0000000002000000000000",
    "> 16fefd00000000000000020014100000080002000000000008000664657669636514fefd00000000000000"
    "0300010119fefd0001000000000000aabbccddeeff0029000100000000000002d8fbdc9fe0b633b815468979"
    "0f01c99d9bb84f559fb8bb094b6171841d4893b3",
    "< 14fefd000000000000000300010119fefd00010000000000000001020300300001000000000000cf53e988"
    "639b5ef9eb88b219098abc9cbdd381e7e606d74f016b37f85879e4a0be11afccda487446",
    "> 19fefd0001000000000001aabbccddeeff00210001000000000001c845cf1ad4321be7453749d2cbb34090"
    "376b96bd625b019971",
    "< 19fefd00010000000000010001020300300001000000000001d6ec495cb64988fc179993c5b9f3d5ba0a38"
    "f02b80881de5bf7eff5666dfb5234d5910e592f61cb7",
    "> 19fefd0001000000000002aabbccddeeff0013000100000000000279441a27a27461e21f5bab",
)


class Sink:
    sent = bytes_ = 0

    def send(self, buf, start, end):
        self.sent += 1
        self.bytes_ += end - start


SERVER = [unhexlify(row[2:]) for row in ROWS if row[0] == "<"]
sink = Sink()
c = None


def fresh():
    global c
    c = Secure(
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
aes = record.aes(bytes(16), 1)
case("a block, " + NAME, lambda: aes.encrypt(block, block))
buf = bytearray(200)
session = c.dump()


def wake():
    global c
    c = Secure(
        sink, "device", bytes(range(16)), cid=4, session=session, random=len, save=lambda b: None
    )
    c.send(buf, 60, 160)


if NAME == "AES by viper":
    records(NAME)
    case("wake up by Connection ID and send 100 bytes, " + NAME, wake)
kept = record.aes
record.aes = Same
records("without AES")
case("wake up by Connection ID and send 100 bytes, without AES", wake)
record.aes = kept
if c.state != 2:
    raise ValueError("wake")
