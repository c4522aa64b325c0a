# Object 5 fetches: Block2 over the session or a route of its own, resumed after losses and restarts
# SPDX-License-Identifier: MIT
import gc

import lwm2m_port
from dtls_server import SecureLink
from link import *
from slots import RamSlot
from test_firmware import CHANGED, IMAGE, Store, device, status

from lwm2m.objects.firmware import Firmware


class Repository:
    """Answers for a file by Block2, beside what the peer answers otherwise; `asked` are (offset, size) of the blocks."""

    def __init__(self, peer, image=IMAGE, etag=b"v1", szx=5):
        self.peer = peer
        self.image = image
        self.etag = etag
        self.szx = szx
        self.asked = []
        self.paths = []
        self.silent_from = len(image)  # bytes after which nothing is answered
        self.code = 0x45
        self.accept = peer.reply
        peer.reply = self.reply

    def reply(self, m):
        if m.code != GET:
            return self.accept(m)
        self.paths.append((m.path(), m.query()))
        if self.code != 0x45:
            return self.code, (), b""
        asked = m.opt(BLOCK2) or 0
        szx = min(asked & 7, self.szx)
        offset = (asked >> 4) * (16 << (asked & 7))
        if offset >= self.silent_from:
            return None
        if offset >= len(self.image):
            return 0x80, (), b""
        size = 16 << szx
        self.asked.append((offset, size))
        more = offset + size < len(self.image)
        opts = [(BLOCK2, offset // size << 4 | more << 3 | szx)]
        if not offset:
            opts.append((SIZE2, len(self.image)))
        if self.etag:
            opts.append((ETAG, self.etag))
        return 0x45, opts, self.image[offset : offset + size]


def fetch(link, uri="coap://server/image"):
    # each datagram takes its time, so that there is a "meanwhile"
    link.fault = link.fault or (lambda peer, datagram, to_client: (20,))
    assert link.server.put("/5/0/1", uri.encode()).code == CHANGED


def ended(link, seconds=5000):
    link.until(lambda: link.firmware.state != 1, seconds)
    return status(link)


def test_over_the_session_with_the_server():
    link = device()
    files = Repository(link.server)
    opened = link.opened
    fetch(link, "coap://server:5683/f/image?epid=x%20y&v=1")
    assert status(link)[0] == 1
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    assert link.opened == opened
    assert files.paths[0] == ("/f/image", ["epid=x y", "v=1"])
    assert files.asked == [(k, 512) for k in range(0, 3000, 512)]
    assert link.slot.flashed == len(IMAGE)
    assert link.firmware.progress == (3000, 3000)


def test_from_another_host():
    link = device()
    files = Repository(link.peer("files"))
    fetch(link, "coap://files/image")
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    assert not link.peer("files").open and link.server.open
    assert link.peer("files").requests[0].all(URI_HOST) == [b"files"]
    # and the same again
    link.server.put("/5/0/1", b"")
    fetch(link, "coap://files/image")
    assert ended(link) == (2, 0)
    assert len(files.asked) == 12


def test_smaller_blocks_and_small_packages():
    for szx in (0, 2):
        link = device()
        Repository(link.server, IMAGE[:1001], szx=szx)
        fetch(link)
        assert ended(link) == (2, 0) and link.slot.kept == IMAGE[:1001]
    link = device()
    link.server.reply = lambda m: (
        (0x45, (), IMAGE[:300]) if m.code == GET else link.server.accept(m)
    )
    fetch(link)
    assert ended(link) == (2, 0) and link.slot.kept == IMAGE[:300]


def test_the_client_serves_and_notifies_meanwhile():
    link = device()
    files = Repository(link.server)
    s = link.server
    t = s.observe("/3/0/14", TEXT).token
    fetch(link)
    link.until(lambda: len(files.asked) == 2)
    link.client.set("/3/0/14", "+01:00")
    link.until(lambda: s.notes(t), 5)
    assert len(files.asked) < 6
    assert s.get("/3/0/0", TEXT).code == 0x45
    assert ended(link) == (2, 0)


def test_a_lossy_network():
    random = lwm2m_port.Random(5)

    def fault(peer, datagram, to_client):
        n = random.below(10)
        return () if n < 2 else (0, 30) if n == 2 else (random.below(200),)

    for host in ("server", "files"):
        link = device()
        Repository(link.peer(host))
        fetch(link, "coap://%s/image" % host)
        link.fault = fault
        link.until(lambda: link.firmware.state != 1, 5000)
        link.fault = None
        assert status(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
        assert link.slot.flashed == len(IMAGE)


def test_resumed_after_a_silence():
    for host in ("server", "files"):
        for part in range(0, 9, 2):
            link = device()
            files = Repository(link.peer(host))
            files.silent_from = len(IMAGE) * part // 10 + 1
            fetch(link, "coap://%s/image" % host)
            link.until(lambda: link.firmware.transfer.attempts == 1, 500)
            files.silent_from = len(IMAGE)
            assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
            assert link.slot.flashed == len(IMAGE)
            offsets = [offset for offset, _ in files.asked]
            assert len(set(offsets)) == len(offsets), offsets


def test_resumed_after_a_restart_at_every_tenth():
    digest = sha256(IMAGE).digest()
    for part in range(1, 10):
        store = Store()
        link = device(store=store, sha256=digest)
        files = Repository(link.server)
        fetch(link)
        link.until(lambda: len(link.slot.kept) * 10 >= len(IMAGE) * part)
        before = len(link.slot.kept)
        link.client.stop(True)
        later = device(link.slot, store, sha256=digest)
        again = Repository(later.server)
        assert ended(later) == (2, 0)
        assert bytes(later.slot.kept) == IMAGE and later.slot.flashed == len(IMAGE)
        assert not again.asked or again.asked[0][0] == before
        assert files.etag == again.etag


def test_another_package_after_a_restart():
    store = Store()
    link = device(store=store)
    Repository(link.server)
    fetch(link)
    link.until(lambda: len(link.slot.kept) >= 1024)
    link.client.stop(True)
    for etag in (b"v2", b""):
        slot = RamSlot()
        slot.kept = link.slot.kept[:]
        newer = Store()
        newer.files = dict(store.files)
        later = device(slot, newer)
        new = bytes([255 - b for b in IMAGE[:2000]])
        Repository(later.server, new, etag)
        assert ended(later) == (2, 0), etag
        assert bytes(slot.kept) == new
        assert later.firmware.progress == (2000, 2000)


def test_without_a_tag():
    link = device()
    files = Repository(link.server, etag=b"")
    fetch(link)
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    # after a lost connection all of it is fetched again
    link = device()
    files = Repository(link.server, etag=b"")
    files.silent_from = 1024
    fetch(link)
    link.until(lambda: link.firmware.transfer.attempts == 1, 500)
    files.silent_from = len(IMAGE)
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    assert [offset for offset, _ in files.asked].count(0) == 2


def test_a_connection_that_stays_lost():
    link = device(retries=2, delay=5)
    files = Repository(link.peer("files"))
    files.silent_from = 512
    fetch(link, "coap://files/image")
    assert ended(link) == (0, 4)


def test_uris_and_answers_that_are_of_no_use():
    for uri, result in (
        ("ftp://server/x", 9),
        ("coap+tcp://server/x", 9),
        ("x", 7),
        ("coap://", 7),
        ("coap://server:99999/x", 7),
        ("coap://server/%zz", 7),
        ("://", 7),
    ):
        link = device()
        fetch(link, uri)
        assert ended(link) == (0, result), uri
        assert link.server.get("/5/0/1", TEXT).payload == uri.encode()
    for code, result in ((0x84, 7), (0x81, 7), (0x85, 7)):
        link = device()
        Repository(link.server).code = code
        fetch(link)
        assert ended(link) == (0, result)
    link = device(retries=1)
    Repository(link.server).code = 0xA3
    fetch(link)
    assert ended(link) == (0, 4)


def test_a_length_that_is_a_lie():
    link = device()
    files = Repository(link.server)
    honest = files.reply

    def lie(m):
        a = honest(m)
        if a and a[0] == 0x45:
            return a[0], [(SIZE2, 9999) if o[0] == SIZE2 else o for o in a[1]], a[2]
        return a

    link.server.reply = lie
    fetch(link)
    assert ended(link) == (0, 5)


def test_blocks_that_lie():
    for twist in (
        lambda opts, data: ([(BLOCK2, 7 << 4 | 8 | 5)], data),
        lambda opts, data: ([(BLOCK2, 15)], data),
        lambda opts, data: (opts, data[:-1]),
        lambda opts, data: ([(BLOCK2, 8 | 5)], b""),
    ):
        link = device(retries=1, delay=1)
        files = Repository(link.server)
        honest = files.reply

        def lie(m):
            a = honest(m)
            if a and a[0] == 0x45:
                return (a[0],) + twist(a[1], a[2])
            return a

        link.server.reply = lie
        fetch(link)
        assert ended(link) == (0, 4)


def test_pause_and_resume():
    link = device()
    files = Repository(link.server)
    fetch(link)
    link.until(lambda: len(files.asked) == 2)
    link.firmware.pause()
    link.run(600)
    had = len(files.asked)
    assert had <= 3 and status(link)[0] == 1
    link.firmware.resume()
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    assert link.slot.flashed <= len(IMAGE)


def test_reset_and_cancel_meanwhile():
    for act, result in (
        (lambda s: s.put("/5/0/1", b""), 0),
        (lambda s: s.put("/5/0/0", b"\0", OPAQUE), 0),
        (lambda s: s.post("/5/0/10"), 10),
    ):
        link = device(version="1.2")
        files = Repository(link.server)
        files.silent_from = 1024
        fetch(link)
        link.until(lambda: len(files.asked) == 2)
        assert link.server.put("/5/0/1", b"coap://server/other").code == 0x85
        assert link.server.put("/5/0/0", IMAGE[:99], OPAQUE).code == 0x85
        assert act(link.server).code == CHANGED
        link.run(100)
        assert status(link) == (0, result) and not link.slot.kept


def test_a_slot_that_fails_meanwhile():
    link = device(RamSlot(OSError(28), 1500))
    Repository(link.server)
    fetch(link)
    assert ended(link) == (0, 2) and printed() == [OSError]


def test_the_connection_of_the_session_begins_anew():
    link = device(delay=1)
    files = Repository(link.server)
    fetch(link)
    link.until(lambda: len(files.asked) == 3)
    link.client._register(None)
    link.past = len(link.events)
    link.until("REGISTRATION_COMPLETE")
    assert ended(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    assert link.slot.flashed == len(IMAGE)


def test_with_the_credentials_of_the_server():
    for host in ("server", "files"):
        link = SecureLink(start=False)
        slot = RamSlot()
        link.slot = slot
        link.firmware = Firmware(link.client, slot)
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
        opened = link.opened
        files = link.peer(host)
        Repository(files)
        fetch(link, "coaps://%s/image" % host)
        assert ended(link) == (2, 0) and bytes(slot.kept) == IMAGE
        assert link.opened == opened + (host != "server")
        assert files.dtls.alert is None if host == "server" else files.dtls.alert == (1, 0)


def test_a_sleeper_fetches():
    link = device(queue=True, awake_time=20)
    files = Repository(link.server)
    fetch(link)
    link.until(lambda: len(files.asked) == 2)
    assert ended(link) == (2, 0)


class Sink(RamSlot):
    """A slot that keeps nothing but the count."""

    count = 0

    def open(self, offset=0):
        self.count = offset
        return offset

    def offset(self):
        return self.count

    def write(self, data):
        self.count += len(data)


class Endless(Repository):
    """A package of so many equal bytes, that are not kept here either."""

    def __init__(self, peer, size):
        super().__init__(peer, b"")
        self.size = size
        self.block = bytes(512)

    def reply(self, m):
        if m.code != GET:
            return self.accept(m)
        offset = (m.opt(BLOCK2) >> 4) * 512
        if offset > 4096:
            del self.peer.heard[:], self.peer.requests[:]  # or the test would hold all of it
        return (
            0x45,
            [(BLOCK2, offset // 512 << 4 | (offset + 512 < self.size) << 3 | 5), (ETAG, b"v")],
            self.block,
        )


def test_the_heap_of_a_long_download():
    # 256 KB are as good as a megabyte here: what grows with the package shows by the first part of it
    if not hasattr(gc, "mem_alloc"):
        raise Skip("no count of the heap")
    link = device(Sink())
    Endless(link.server, 1 << 18)
    fetch(link)
    link.until(lambda: link.slot.count >= 8192)
    del link.events[:], link.times[:]
    link.past = 0
    gc.collect()
    early = gc.mem_alloc()
    link.until(lambda: link.slot.count >= (1 << 18) - 512)
    del link.events[:], link.times[:]
    gc.collect()
    assert gc.mem_alloc() - early < 4096, gc.mem_alloc() - early
    assert ended(link) == (2, 0)
