# Datagrams as a hostile or broken server would send them: valid ones, nearly valid ones, answers to nothing, noise
# SPDX-License-Identifier: MIT
"""`Datagrams(random).next(peer)` gives bytes. They are made of what a server may say (methods, paths, options and
payloads that mean something to the client of lives.py), and then, more often than not, spoilt."""

from link import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    DELETE,
    FETCH,
    FORMAT,
    GET,
    IPATCH,
    LOCATION,
    NON,
    OBSERVE,
    POST,
    PUT,
    QUERY,
    RST,
    SIZE1,
    SIZE2,
    URI_PATH,
    build,
    segments,
)

METHODS = (GET, GET, GET, PUT, PUT, POST, POST, DELETE, FETCH, FETCH, IPATCH, 6, 0, 31)
RESPONSES = (
    0x41,
    0x42,
    0x44,
    0x45,
    0x5F,
    0x80,
    0x84,
    0x88,
    0x8C,
    0x8D,
    0xA0,
    0xA5,
    0x40,
    0xBF,
    0xE1,
)
FORMATS = (0, 40, 42, 60, 110, 112, 320, 322, 1541, 1542, 1543, 11542, 11543, 11544, 9999, 65535)
PATHS = (
    "/",
    "/0",
    "/0/0",
    "/0/0/5",
    "/0/0/0",
    "/1",
    "/1/0",
    "/1/0/1",
    "/1/0/2",
    "/1/0/4",
    "/1/0/6",
    "/1/0/7",
    "/1/0/8",
    "/1/0/9",
    "/1/0/23",
    "/2/0",
    "/2/0/2",
    "/3",
    "/3/0",
    "/3/0/0",
    "/3/0/4",
    "/3/0/5",
    "/3/0/6",
    "/3/0/11",
    "/3/0/11/0",
    "/3/0/12",
    "/3/0/13",
    "/3/0/14",
    "/3/0/14/0",
    "/3/0/15",
    "/9/0/2",
    "/19",
    "/19/0",
    "/19/0/0",
    "/19/0/0/0",
    "/3303",
    "/3303/0",
    "/3303/0/5700",
    "/3303/0/5700/0",
    "/3303/0/5605",
    "/3303/0/5750",
    "/3303/1",
    "/3303/1/5700",
    "/3347/0/5500",
    "/3340/0",
    "/rd",
    "/bs",
    "/dp",
    "/.well-known/core",
    "/65535/65535/65535/65535",
    "/3/0/0/0/0",
)
QUERIES = (
    b"pmin=0",
    b"pmin=1",
    b"pmax=2",
    b"pmin=10",
    b"pmax=60",
    b"gt=25",
    b"lt=5.5",
    b"st=1",
    b"gt=-1e9",
    b"epmin=1",
    b"epmax=5",
    b"edge=1",
    b"con=1",
    b"con=0",
    b"hqmax=3",
    b"hqmax=4000000",
    b"pmin",
    b"gt",
    b"st=-1",
    b"x=y",
    b"=",
    b"pmin=99999999999999999999",
    b"gt=" + b"9" * 240,
    b"ep=other",
    b"lt=60",
    b"b=UQ",
)
# {content format: payloads that are right for some path}; None are those of no format
PAYLOADS = {
    0: (b"", b"1", b"60", b"20.5", b"-1", b"U", b"UQ", b"text", b"0='a',1", b"3303:0"),
    42: (b"", b"opaque", bytes(range(256)) * 2),
    60: (
        b"\x01",
        b"\xf9\x4d\x60",
        b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
        b"\x62ab",
        b"\x9f\xff",
    ),
    11542: (
        b"\xe8\x16\x76\x08new name",
        b"\x08\x05\x07\xe4\x16\x44\x41\xa4\x00\x00",
        b"\xe4\x16\x44\x41\xa4\x00\x00",
        b"\xc1\x01\x3c\xc1\x06\x01\xc1\x07U",
        b"\x86\x06\x41\x00\x01\x41\x01\x05",
        b"\x88\x00\x04\x41\x00\x01x",
        b"\xc8\x02\x20" + bytes(32),
        b"\x08\x00\x40" * 20,
    ),
    11543: (
        b'{"bn":"/3303/0/","e":[{"n":"5700","v":3},{"n":"5750","sv":"y"}]}',
        b'{"e":[{"n":"0","v":1}],"bn":"/1/0/"}',
    ),
    110: (
        b'[{"bn":"/3303/0/","n":"5700","v":21.5}]',
        b'[{"n":"/3303/0/5700"},{"n":"/3/0"}]',
        b'[{"n":"/3303/0/5700/0"},{"n":"/3/0/14"},{"n":"/3303/0/5750/0"}]',
        b'[{"n":"/3/0/0/0"}]',
        b'[{"n":"/"}]',
        b'[{"n":"/3/0/6"},{"n":"/3/0/11/0"},{"n":"/19/0/0/0"}]',
        b'[{"n":"/0/0/5"},{"n":"/0"},{"n":"/0/0"}]',
        b'[{"n":"/3303/0/5700","v":1e400}]',
        b'[{"n":"/3303/0/5700","v":' + b"9" * 400 + b"}]",
        b'[{"bn":"/3303/","bt":1e20,"n":"0/5750","vs":"x"}]',
        b'[{"n":"/1/0/1","v":300},{"n":"/3/0/14","vs":"+01:00"}]',
        b"[" * 60,
        b"[" + b'{"n":"/"},' * 31 + b'{"n":"/"}]',
    ),
    112: (
        b"\x81\xa2\x00\x6c/3303/0/5700\x02\xf9\x4d\x60",
        b"\x82\xa1\x00\x6c/3303/0/5700\xa1\x00\x62/3",
        b"\x81\xa1\x00\x6e/3303/0/5750/0",
        b"\x81\xa2\x21\x66/3/0/\x00\x62\x31\x34",
        b"\x81" * 60,
        b"\x9f\xff",
    ),
    11544: (
        b"\xa1\x19\x0c\xe7\xa1\x00\xa1\x19\x16\x44\xfb\x40\x35\x80\x00\x00\x00\x00\x00",
        b"\xbf\xff",
        b"\x82\x83\x03\x00\x0e\x81\x19\x0c\xe7",
    ),
    None: (b"\xdb" + b"\xff" * 8, b"\xff", bytes(20), b"true"),
}
FORMATS_WITH = tuple(PAYLOADS)
COMPOSITE = (110, 110, 112, 11544, 320, 322)

# what a server that means well asks for: method, path, format, payload, and options beside
SENSIBLE = (
    (GET, "/3/0/0", None, b"", ()),
    (GET, "/3/0", None, b"", ()),
    (GET, "/3303", None, b"", ((ACCEPT, 40),)),
    (GET, "/3303", None, b"", ((ACCEPT, 110), (BLOCK2, 2))),
    (GET, "/3303/0/5700", None, b"", ((OBSERVE, 0), (ACCEPT, 0))),
    (GET, "/3303/0/5700", None, b"", ((OBSERVE, 0), (ACCEPT, 112))),
    (GET, "/3303/0", None, b"", ((OBSERVE, 0),)),
    (GET, "/3/0/15", None, b"", ((OBSERVE, 0), (ACCEPT, 0))),
    (GET, "/19/0/0/0", None, b"", ((OBSERVE, 0), (ACCEPT, 42))),
    (GET, "/3347/0/5500", None, b"", ((OBSERVE, 0),)),
    (GET, "/3303/0/5700", None, b"", ((OBSERVE, 0), (QUERY, b"pmin=1"), (QUERY, b"gt=25"))),
    (GET, "/3303/0/5700", None, b"", ((OBSERVE, 1),)),
    (PUT, "/3303/0/5750", 0, b"another name", ()),
    (PUT, "/3303/0/5750", 0, b"x" * 16, ((BLOCK1, 8),)),
    (PUT, "/3303/0/5750", 0, b"y" * 16, ((BLOCK1, 24),)),
    (PUT, "/3303/0/5750", 0, b"z", ((BLOCK1, 32),)),
    (PUT, "/9/0/2", 42, b"x" * 64, ((BLOCK1, 10),)),
    (PUT, "/9/0/2", 42, b"y" * 64, ((BLOCK1, 18),)),
    (PUT, "/19/0/0", 11542, b"\x41\x00a\x41\x03b", ()),
    (POST, "/19/0", 11542, b"\x83\x00\x41\x05c", ()),
    (PUT, "/3/0/13", 0, b"1700000000", ()),
    (PUT, "/3/0/14", 0, b"+02:00", ()),
    (PUT, "/1/0/1", 0, b"600", ()),
    (PUT, "/1/0/2", 0, b"5", ()),
    (PUT, "/1/0/3", 0, b"30", ()),
    (PUT, "/1/0/6", 0, b"1", ()),
    (PUT, "/1/0/7", 0, b"UQ", ()),
    (PUT, "/3303/0/5700", None, b"", ((QUERY, b"pmin=0"), (QUERY, b"pmax=5"))),
    (PUT, "/3303/0/5700", None, b"", ((QUERY, b"gt=25"), (QUERY, b"lt=5"))),
    (PUT, "/3303/0/5700", None, b"", ((QUERY, b"hqmax=300000"),)),
    (PUT, "/3303/0/5700", None, b"", ((QUERY, b"epmin=2"), (QUERY, b"epmax=4"))),
    (PUT, "/3347/0/5500", None, b"", ((QUERY, b"edge=1"),)),
    (PUT, "/3303", None, b"", ((QUERY, b"pmin"), (QUERY, b"pmax"))),
    (POST, "/3/0/4", None, b"", ()),
    (POST, "/3/0/5", None, b"1", ()),
    (POST, "/3/0/12", None, b"", ()),
    (POST, "/1/0/8", None, b"", ()),
    (POST, "/3303/0/5605", None, b"", ()),
    (POST, "/3303", 11542, b"\xe4\x16\x44\x41\xa4\x00\x00", ()),
    (POST, "/3303", 11542, b"\x08\x05\x07\xe4\x16\x44\x41\xa4\x00\x00", ()),
    (POST, "/3303/0", 110, b'[{"n":"5750","vs":"z"}]', ()),
    (DELETE, "/3303/1", None, b"", ()),
    (DELETE, "/3303/5", None, b"", ()),
    (DELETE, "/19/0/0/0", None, b"", ()),
    (FETCH, "/", 110, b'[{"n":"/3303"},{"n":"/3/0/14"}]', ()),
    (FETCH, "/", 110, b'[{"n":"/3303/0/5700"},{"n":"/3347/0/5500"}]', ((OBSERVE, 0),)),
    (FETCH, "/", 110, b'[{"n":"/3303/0/5750/0"},{"n":"/3/0/14"}]', ((OBSERVE, 0),)),
    (FETCH, "/", 110, b'[{"n":"/"}]', ((OBSERVE, 0),)),
    (FETCH, "/", 112, b"\x81\xa1\x00\x62/3", ((BLOCK2, 2),)),
    (IPATCH, "/", 110, b'[{"n":"/3/0/14","vs":"+03:00"},{"n":"/3303/0/5750","vs":"q"}]', ()),
    (IPATCH, "/", 110, b'[{"n":"/19/0/0/7","vd":"eA"}]', ()),
)


# What this version of the client is known to fall over, by bytes in the datagram; `avoid=False` sends it all the same.
KNOWN = ()


class Datagrams:
    """`mid` and the tokens stay within small ranges, so that duplicates and cancellations happen."""

    def __init__(self, random, paths=PATHS, avoid=True):
        self.random = random
        self.paths = paths
        self.avoid = avoid

    def one_in(self, n):
        return not self.random.below(n)

    def of(self, choices):
        return choices[self.random.below(len(choices))]

    def bytes(self, n):
        return bytes([self.random.below(256) for _ in range(n)])

    def path(self):
        path = self.of(self.paths)
        options = [(URI_PATH, s) for s in path.split("/")[1:] if s]
        if options and self.one_in(12):
            options[self.random.below(len(options))] = (URI_PATH, self.bytes(self.random.below(6)))
        return options

    def block(self):
        # mostly small blocks, from the start, so that transfers go on for a while
        return self.random.below(4 if not self.one_in(8) else 4096) << 4 | self.random.below(16)

    def options(self, code, ct):
        out = []
        if code in (GET, FETCH):
            if self.one_in(3):
                out.append((OBSERVE, self.random.below(2) if not self.one_in(9) else 7))
            if not self.one_in(3):
                out.append((ACCEPT, self.of(FORMATS)))
            if self.one_in(4):
                out.append((BLOCK2, self.block()))
        if code in (PUT, POST, IPATCH, FETCH):
            if ct is not None:
                out.append((FORMAT, ct))
            if self.one_in(4):
                out.append((BLOCK1, self.block()))
            if self.one_in(9):
                out.append((SIZE1, self.of((0, 1, 100, 8192, 8193, 1 << 30))))
        for _ in range(self.random.below(4) if self.one_in(4) else 0):
            out.append((QUERY, self.of(QUERIES)))
        if self.one_in(20):
            number = self.of((1, 3, 4, 5, 7, 14, 20, 35, 39, 258, 292, 2048, 65000))
            out.append((number, self.bytes(self.random.below(9))))
        return out

    def payload(self, ct=None):
        if ct in (320, 322):
            ct -= 210
        d = self.of(
            PAYLOADS[ct if ct in PAYLOADS and not self.one_in(8) else self.of(FORMATS_WITH)]
        )
        if self.one_in(4):
            d = self.spoil(d)
        if self.one_in(16):
            d += self.of(PAYLOADS[self.of(FORMATS_WITH)])
        return d

    def request(self):
        code = self.of(METHODS)
        typ = self.of((CON, CON, CON, NON, ACK, RST) if self.one_in(9) else (CON, CON, NON))
        token = (
            self.bytes(self.random.below(9)) if self.one_in(4) else b"t%d" % self.random.below(9)
        )
        ct = None if self.one_in(8) else self.of(FORMATS if self.one_in(3) else FORMATS_WITH)
        options = self.path()
        if code in (FETCH, IPATCH) and not self.one_in(8):
            options = []
            ct = self.of(COMPOSITE)
        options += self.options(code, ct)
        payload = self.payload(ct) if code not in (GET, DELETE) or self.one_in(9) else b""
        mid = self.random.below(40 if self.one_in(3) else 65536)
        return build(typ, code, mid, token, options, payload)

    def sensible(self):
        code, path, ct, payload, options = self.of(SENSIBLE)
        options = segments(path) + list(options)
        if ct is not None:
            options.append((FORMAT, ct))
        typ = self.of((CON, CON, NON))
        token = b"t%d" % self.random.below(12)
        return build(typ, code, self.random.below(65536), token, options, payload)

    def answer(self, peer):
        """A response or an empty message, to what the client has sent last, or to nothing."""
        mid = self.random.below(65536)
        token = self.bytes(self.random.below(9))
        if peer.heard and not self.one_in(4):
            m = self.of(peer.heard)
            mid = m.mid
            token = m.token
        if self.one_in(3):
            return build(self.of((CON, NON, ACK, RST)), 0, mid)
        options = []
        if self.one_in(3):
            options.append((BLOCK1, self.block()))
        if self.one_in(6):
            options.append((BLOCK2, self.block()))
        if self.one_in(3):
            options += [(LOCATION, self.of(("rd", "7", "", "x" * 60)))] * self.random.below(4)
        if self.one_in(9):
            options.append((SIZE2, self.random.below(70000)))
        payload = self.payload() if self.one_in(3) else b""
        typ = self.of((CON, NON, ACK, ACK, RST))
        return build(typ, self.of(RESPONSES), mid, token, options, payload)

    def noise(self):
        d = bytearray(self.bytes(self.of((0, 1, 3, 4, 5, 8, 16, 40, 200, 600))))
        if len(d) > 1 and not self.one_in(3):
            d[0] = 0x40 | self.random.below(4) << 4 | self.random.below(9)
            d[1] = self.of(METHODS + RESPONSES)
        return bytes(d)

    def spoil(self, d):
        """Change one to three places."""
        d = bytearray(d)
        for _ in range(1 + self.random.below(3)):
            at = self.random.below(len(d) + 1)
            kind = self.random.below(6)
            if kind < 3 and at < len(d):
                d[at] ^= 1 << self.random.below(8)
            elif kind == 3:
                d = d[:at]
            elif kind == 4:
                d = d[:at] + self.bytes(1 + self.random.below(4)) + d[at:]
            else:
                d = d[:at] + d[at + 1 + self.random.below(3) :]
        return bytes(d)

    def next(self, peer):
        while True:
            d = self.any(peer)
            if not self.avoid or not [x for x in KNOWN if x in d]:
                return d

    def any(self, peer):
        kind = self.random.below(20)
        if kind < 8:
            d = self.sensible()
            return self.spoil(d) if self.one_in(4) else d
        if kind < 13:
            d = self.request()
        elif kind < 18:
            d = self.answer(peer)
        else:
            d = self.noise()
        return self.spoil(d) if self.one_in(3) else d
