# The URC of the packet data context, on a platform that has one
# SPDX-License-Identifier: MIT

from link import sys
from lwm2m.quectel import Lwm2m

port = sys.modules["lwm2m.port"]


def test_pdp_active():
    for up, word in ((True, "successfully"), (False, "failed")):
        lines = []
        port.pdp = lambda: (up, "internet")
        try:
            lw = Lwm2m()
            lw.config(lw.Security, [1, 7, "127.0.0.1:1", 0, 3])
            lw.register_call(lambda args: lines.append(args[2]))
            lw.register()
            lw.config(lw.Reset, [])
        finally:
            del port.pdp
        assert lines[0] == '+QLWURC: "pdp active","%s","internet"' % word, lines
