# QuecPython's `lwm2m` object as the tests set it up, and what it calls back with
# SPDX-License-Identifier: MIT
from link import Link
from lwm2m.quectel import Lwm2m

U = "coap://server:5683"
KEY = "000102030405060708090a0b0c0d0e0f"


def ready(**urcs):
    """An object as the vendor's example sets it up, its link, and what it calls back with."""
    lw = Lwm2m()
    link = Link(client=lw.client, start=False)
    link.server = link.peer("server")
    lw.client.version = "1.0"
    lw.running = True  # the test turns the clock, no thread
    out = []
    assert lw.register_call(lambda args: out.append(args)) == 0
    assert lw.config(lw.Security, [1, 1000, U, 0, 3]) == 0
    assert lw.config(lw.Epnamemode, [1]) == 0 and lw.config(lw.Epname, ["testname"]) == 0
    return lw, link, out


def texts(out):
    for e in out:
        assert (
            isinstance(e, list) and len(e) == 3 and isinstance(e[0], int) and isinstance(e[1], int)
        )
        assert not isinstance(e[0], bool) and not isinstance(e[1], bool)
        assert e[2][:9] == "+QLWURC: "
    return [e[2][9:] for e in out]


def tlv(ident, v):
    return bytes((0xC8, ident, len(v))) + v
