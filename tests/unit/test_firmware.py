# Object 5: push, the state and result machines (E.6 of Core 1.1.1), what outlives a restart
# SPDX-License-Identifier: MIT
import lwm2m_port
from link import *
from slots import RamSlot

from lwm2m.coap.numbers import CoapError
from lwm2m.objects.firmware import Firmware

IMAGE = bytes([k * 11 + (k >> 8) & 255 for k in range(3000)])
CHANGED = 0x44
NOT_ALLOWED = 0x85
SENML = 112


class Store:
    """The client's load and save."""

    def __init__(self):
        self.files = {}
        self.saves = 0

    def load(self, name):
        return self.files.get(name)

    def save(self, name, data):
        self.saves += 1
        self.files[name] = data


def device(slot=None, store=None, version="1.1", start=True, name="dev", **options):
    """A registered client with /5/0, as link; link.firmware, link.slot, link.restarts."""
    of_client = {}
    for option in ("queue", "awake_time", "szx"):
        if option in options:
            of_client[option] = options.pop(option)
    if store:
        of_client["load"] = store.load
        of_client["save"] = store.save
    link = Link(version=version, start=False, **of_client)
    link.slot = slot or RamSlot()
    link.firmware = Firmware(link.client, link.slot, **options)
    link.restarts = 0

    def restart():
        link.restarts += 1
        link.client.stop(True)
        return True

    link.firmware.restart = restart
    if start:
        link.client.start()
        link.until("REGISTRATION_COMPLETE")
    return link


def status(link, instance=0):
    """(state, result) as a server reads them."""
    return tuple(
        [int(link.server.get("/5/%d/%d" % (instance, rid), TEXT).payload) for rid in (3, 5)]
    )


def push(link, data, szx=5, format=OPAQUE, path="/5/0/0", peer=None):
    """Write a package block by block; the last response."""
    size = 16 << szx
    at = 0
    while True:
        more = at + size < len(data)
        m = (peer or link.server).put(
            path, data[at : at + size], format, (BLOCK1, at // size << 4 | more << 3 | szx)
        )
        if not more or m.code != 0x5F:
            return m
        at += size


def tlv(data, rid=0):
    return bytes((0xC0 | 2 << 3, rid)) + bytes((len(data) >> 8, len(data) & 255)) + data


def cbor(data):
    return b"\x59" + bytes((len(data) >> 8, len(data) & 255)) + data


def senml(data, name=b"/5/0/0"):
    return b"\x81\xa2\x21" + bytes((0x60 | len(name),)) + name + b"\x08" + cbor(data)


def senml_canonical(data):
    return b"\x81\xa3\x00\x61\x30\x08" + cbor(data) + b"\x21\x65/5/0/"


def test_what_a_new_object_shows():
    link = device()
    assert status(link) == (0, 0)
    assert link.server.get("/5/0/0").code == NOT_ALLOWED
    assert link.server.get("/5/0/9", TEXT).payload == b"2"
    assert link.client.get("/5/0/8")[0] == 0
    # what came with LwM2M 1.2 is not seen before
    assert link.server.get("/5/0/11", TEXT).code == 0x84
    newer = device(version="1.2")
    assert newer.server.get("/5/0/11", TEXT).payload == b"1"


def test_a_push_in_every_format():
    for made, format in (
        (lambda d: d, OPAQUE),
        (tlv, TLV),
        (cbor, CBOR),
        (senml, SENML),
        (senml_canonical, SENML),
    ):
        for szx in (0, 5):
            link = device()
            m = push(link, made(IMAGE[:1300]), szx, format)
            assert m.code == CHANGED, (m, format, szx)
            assert link.slot.kept == IMAGE[:1300], (format, szx)
            assert status(link) == (2, 0)
            assert 0 not in link.client.tree.objects[5][0]


def test_a_push_in_one_message():
    for made, format in ((lambda d: d, OPAQUE), (tlv, TLV), (cbor, CBOR), (senml, SENML)):
        link = device()
        assert link.server.put("/5/0/0", made(IMAGE[:300]), format).code == CHANGED
        assert bytes(link.slot.kept) == IMAGE[:300] and status(link) == (2, 0)


def test_bodies_that_are_no_package():
    for body, format in (
        (tlv(IMAGE, 1), TLV),
        (tlv(IMAGE)[:-1], TLV),
        (tlv(IMAGE) + b"x", TLV),
        (b"\x9f", CBOR),
        (cbor(IMAGE)[:-9], CBOR),
        (cbor(IMAGE) + b"x", CBOR),
        (senml(IMAGE, b"/5/1/0"), SENML),
        (senml(IMAGE)[:-4], SENML),
        (b"\x81\xa1\x00\x00" * 99, SENML),
        (b"\x01" * 200, SENML),
    ):
        link = device()
        m = push(link, body, 5, format)
        assert m.code == 0x80, (m, body[:9])
        assert status(link)[0] != 2
        link.server.put("/5/0/0", b"", OPAQUE)
        assert push(link, IMAGE).code == CHANGED and status(link) == (2, 0)


def test_update_by_push_and_confirmation():
    store = Store()
    link = device(store=store)
    s = link.server
    s.observe("/5/0/3", TEXT)
    push(link, IMAGE)
    assert s.post("/5/0/2").code == CHANGED
    link.until(lambda: link.restarts, 30)
    assert "activate" in link.slot.calls and store.load("fw0")
    # the new software
    later = device(link.slot, store, start=False)
    assert later.firmware.state == 3
    later.client.start()
    later.until("REGISTRATION_COMPLETE")
    assert status(later) == (0, 1)
    assert later.slot.calls[-1] == "confirm"
    # and it stays so
    again = device(later.slot, store)
    assert status(again) == (0, 1)


def test_new_software_that_does_not_register():
    store = Store()
    link = device(store=store)
    push(link, IMAGE)
    link.server.post("/5/0/2")
    link.until(lambda: link.restarts, 30)
    lost = device(link.slot, store, start=False, confirm_within=60)
    lost.server.reply = lambda m: None
    lost.client.start()
    lost.until(lambda: lost.restarts, 100)
    assert lost.slot.calls[-1] == "roll_back"
    back = device(link.slot, store)
    assert status(back) == (0, 8)


def test_a_test_of_the_application():
    for outcome, calls in ((False, "roll_back"), (None, "confirm"), (True, "confirm")):
        slot = RamSlot()
        slot.on_trial = True
        link = device(slot, test=lambda: outcome)
        link.settle()
        if outcome is None:
            assert status(link) == (3, 0)
            link.firmware.confirm()
        assert slot.calls[-1] == calls
        assert link.firmware.result == (8 if outcome is False else 1)


def test_a_start_that_went_back_by_itself():
    store = Store()
    link = device(store=store)
    push(link, IMAGE)
    link.server.post("/5/0/2")
    link.until(lambda: link.restarts, 30)
    link.slot.on_trial = False
    assert status(device(link.slot, store)) == (0, 8)


def test_results_of_a_slot_that_fails():
    for error, result in (
        (OSError(28), 2),
        (OSError(5), 8),
        (MemoryError(), 3),
        (ValueError(), 5),
    ):
        link = device(RamSlot(error, 1000))
        m = push(link, IMAGE)
        assert m.code == 0x8D, m
        assert status(link) == (0, result), error
        assert not link.slot.kept
        assert len(printed()) == 1
        link.slot.fails = None
        assert push(link, IMAGE).code == CHANGED and status(link) == (2, 0)
    link = device()
    push(link, b"bad" + IMAGE)
    assert status(link) == (0, 6) and len(printed()) == 1


def test_integrity():
    good = sha256(IMAGE).digest()
    for digest, verify, result in (
        (good, None, 0),
        (str(hexlify(good), "ascii"), lambda slot: True, 0),
        (lambda uri: good, None, 0),
        (bytes(32), None, 5),
        (None, lambda slot: False, 5),
        (good, lambda slot: 1 // 0, 8),
    ):
        link = device(sha256=digest, verify=verify)
        push(link, IMAGE)
        assert status(link) == (0 if result else 2, result)
        assert len(printed()) == bool(result)
    link = device(accept=lambda data: data[0] == 99)
    push(link, IMAGE)
    assert status(link) == (0, 6) and len(printed()) == 1


def test_an_activation_that_fails():
    link = device()
    link.slot.activation = OSError(5)
    push(link, IMAGE)
    link.server.post("/5/0/2")
    link.until(lambda: status(link) == (0, 8), 30)
    assert not link.restarts and printed() == [OSError]


def test_resets():
    for act in (
        lambda s: s.put("/5/0/0", b"", OPAQUE),
        lambda s: s.put("/5/0/0", b"\0", OPAQUE),
        lambda s: s.put("/5/0/0", b"\xc1\0\0", TLV),
        lambda s: s.put("/5/0/0", b"\xc0\0", TLV),
        lambda s: s.put("/5/0/0", b"\x40", CBOR),
        lambda s: s.put("/5/0/1", b"", TEXT),
        lambda s: s.put("/5/0/1", b"\xc0\x01", TLV),
    ):
        link = device()
        push(link, IMAGE)
        m = act(link.server)
        assert m.code == CHANGED, m
        assert status(link) == (0, 0) and not link.slot.kept


def test_cancel():
    link = device(version="1.1")
    assert link.server.post("/5/0/10").code in (0x84, NOT_ALLOWED)
    link = device(version="1.2")
    s = link.server
    assert s.post("/5/0/10").code == NOT_ALLOWED
    push(link, IMAGE)
    assert s.post("/5/0/10").code == CHANGED
    assert status(link) == (0, 10) and not link.slot.kept
    push(link, IMAGE)
    s.post("/5/0/2")
    assert s.post("/5/0/10").code == NOT_ALLOWED and status(link) == (3, 0)


def test_what_is_no_trigger_is_refused():
    link = device()
    s = link.server
    assert s.post("/5/0/2").code == NOT_ALLOWED and status(link) == (0, 0)
    push(link, IMAGE)
    assert push(link, IMAGE).code == NOT_ALLOWED
    assert s.put("/5/0/1", b"coap://server/x").code == NOT_ALLOWED
    assert status(link) == (2, 0) and bytes(link.slot.kept) == IMAGE
    s.post("/5/0/2")
    assert push(link, IMAGE).code == NOT_ALLOWED
    assert s.put("/5/0/1", b"").code == NOT_ALLOWED
    assert status(link) == (3, 0)


def test_blocks_twice_out_of_order_and_anew():
    link = device()
    s = link.server

    def block(n, more=True):
        return s.put(
            "/5/0/0", IMAGE[n * 512 : n * 512 + 512], OPAQUE, (BLOCK1, n << 4 | more << 3 | 5)
        )

    assert block(0).code == block(1).code == 0x5F
    # a repetition under a number of its own
    assert block(1).code == 0x88
    # it has ended that transfer for CoAP, and so the server begins anew
    assert block(3).code == 0x88
    assert block(0).code == 0x5F
    assert block(2).code == 0x88
    assert push(link, IMAGE).code == CHANGED
    assert bytes(link.slot.kept) == IMAGE and status(link) == (2, 0)


def test_another_server_in_the_middle():
    link = device(start=False)
    link.account(1, "coap://other", 2)
    link.client.start()
    other = link.peer("other")
    link.until(lambda: len([e for e in link.events if e[0] == "REGISTRATION_COMPLETE"]) == 2)
    if link.client.access:
        # with several servers access control is on
        link.client.access.give(5, 0, 1, {0: 7})
    s = link.server
    assert s.put("/5/0/0", IMAGE[:512], OPAQUE, (BLOCK1, 8 | 5)).code == 0x5F
    assert other.put("/5/0/0", IMAGE[:512], OPAQUE, (BLOCK1, 8 | 5)).code == NOT_ALLOWED
    assert other.put("/5/0/1", b"coap://other/x").code == NOT_ALLOWED
    assert s.put("/5/0/0", IMAGE[512:900], OPAQUE, (BLOCK1, 1 << 4 | 5)).code == CHANGED
    assert link.slot.kept == IMAGE[:900]


def test_a_push_that_is_given_up():
    link = device()
    link.server.put("/5/0/0", IMAGE[:512], OPAQUE, (BLOCK1, 8 | 5))
    assert status(link) == (1, 0)
    link.until(lambda: link.firmware.state == 0, 400)
    assert status(link) == (0, 4)
    assert push(link, IMAGE).code == CHANGED


def test_a_push_that_a_restart_cuts():
    store = Store()
    link = device(store=store)
    link.server.put("/5/0/0", IMAGE[:512], OPAQUE, (BLOCK1, 8 | 5))
    assert status(device(link.slot, store)) == (0, 4)


def test_downloaded_outlives_a_restart():
    store = Store()
    link = device(store=store)
    push(link, IMAGE)
    later = device(link.slot, store)
    assert status(later) == (2, 0)
    later.server.post("/5/0/2")
    later.until(lambda: later.restarts, 30)
    assert bytes(later.slot.kept) == IMAGE


def test_damaged_records_are_passed_over():
    for record in (
        b"",
        b"x",
        b"[1]\n",
        b'[9,1,1,"","",1,1]\n',
        b'[1,3,0,"","z",1,1]\n',
        b'[1,"3",0,"","",1,1]\n',
    ):
        store = Store()
        store.files["fw0"] = record
        link = device(store=store)
        assert status(link) == (0, 0)
        left_over()


def test_a_storage_that_fails():
    link = device()

    def save(name, data):
        raise OSError(5)

    link.client.save = save
    push(link, IMAGE)
    assert status(link) == (2, 0)
    assert set(printed()) == set((OSError,))


def test_manual_update():
    link = device(version="1.2", auto_update=False)
    s = link.server
    push(link, IMAGE)
    assert not link.firmware.confirm()
    assert s.post("/5/0/2").code == CHANGED
    assert "FIRMWARE_UPDATE" in [name for name, _ in link.events]
    assert status(link) == (2, 0)
    assert link.firmware.defer() is True
    assert status(link) == (2, 11)
    # the server forbids it
    s.put("/5/0/13", b"0")
    assert link.firmware.defer() is False
    # or gives it a time
    s.put("/5/0/13", b"100")
    assert link.firmware.defer()
    before = link.ms
    link.until(lambda: link.restarts, 200)
    assert 99000 < link.ms - before < 130000
    assert not link.firmware.apply()


def test_manual_download():
    link = device(auto_download=False)
    s = link.server
    assert s.put("/5/0/1", b"coap://server/image").code == CHANGED
    assert status(link) == (1, 0)
    link.firmware.downloaded(False, 7)
    assert status(link) == (0, 7)
    s.put("/5/0/1", b"coap://server/image")
    link.firmware.downloaded()
    assert status(link) == (2, 0)


def test_severity_and_automatic_update():
    link = device(version="1.2")
    s = link.server
    assert s.put("/5/0/11", b"3").code == 0x80 and s.put("/5/0/11", b"2").code == CHANGED
    s.put("/5/0/14", b"1")
    push(link, IMAGE)
    assert status(link) == (3, 0)
    assert int(s.get("/5/0/12", TEXT).payload) >= lwm2m_port.seconds


def test_two_instances():
    link = device(name="two")
    second = RamSlot()
    firmware = Firmware(link.client, second, 1)
    assert push(link, IMAGE[:999], path="/5/1/0").code == CHANGED
    assert status(link, 1) == (2, 0) and status(link) == (0, 0)
    assert bytes(second.kept) == IMAGE[:999] and not link.slot.kept
    assert firmware.state == 2


def test_wrong_options():
    link = Link(start=False)
    for name in ("_due", "nothing", "_hash"):
        try:
            Firmware(link.client, RamSlot(), **{name: 1})
            raise AssertionError(name)
        except TypeError:
            pass


def test_progress_is_told():
    link = device()
    push(link, bytes(20000))
    told = [name for name, _ in link.events if name == "FIRMWARE_PROGRESS"]
    assert len(told) == 4
    assert link.firmware.progress == (20000, -1)


def test_the_observation_from_before_the_restart_hears_of_success():
    try:
        import lwm2m.session.resume
        from dtls_server import SecureLink
    except ImportError:
        raise Skip("registrations are not kept here")
    for trial, told in ((True, b"1"), (False, b"8")):
        slot = RamSlot()
        x = SecureLink({"cid": b"abcdef"}, files={}, start=False, version="1.1")
        firmware = Firmware(x.client, slot)
        firmware.restart = lambda: True
        x.client.start()
        x.until("REGISTRATION_COMPLETE")
        s = x.server
        token = s.observe("/5/0/5", TEXT).token
        assert push(x, IMAGE[:900]).code == CHANGED
        assert s.post("/5/0/2").code == CHANGED
        x.until(lambda: x.client.suspended, 30)
        slot.on_trial = trial
        later = SecureLink(before=x, asleep=20, start=False, version="1.1")
        Firmware(later.client, slot)
        later.client.start()
        since = len(later.server.heard)
        later.until(lambda: later.server.notes(token, since), 100)
        later.run(5)
        assert later.server.notes(token, since)[-1].payload == told
        assert not [m for m in later.server.requests[since:] if m.path() == "/rd"]
