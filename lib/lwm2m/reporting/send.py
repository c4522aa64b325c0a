# Send (Core 1.1.1 6.4.6): values that go to the servers without being asked for
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..formats import find_format
from ..formats.senml import walk
from ..port import sys
from ..model.values import parse_path

_MOST = const(4)  # Sends of a session that wait for their turn


def send(client, paths, done=None):
    """Send what stands at `paths` ("/3/0/9", or several of them) to each registered server that does not
    mute it (1/x/23); the number of these. `done(code)` hears of each: 0x44 (2.04) where the server took it,
    another CoAP code, -1 for a reset, -2 when no answer came, 0 where a read function answers later.
    ValueError where there is nothing to send, or too many wait."""
    paths = [parse_path(x) for x in ((paths,) if isinstance(paths, str) else paths)]
    found = []
    walk((lambda x, *_: found.append(x), None), client.tree, paths)
    for ct in (client.default_format, 112, 110):
        fmt = find_format(ct)
        if hasattr(fmt, "encode_all"):
            break
    if not found or not fmt or [x for x in paths if not x[0]]:
        raise ValueError("nothing to send")
    n = 0
    for s in client.sessions:
        if s.is_registered() and s.minor > 0 and not s.server(23):
            if len(s.sends) >= _MOST:
                raise ValueError("too many")
            mine = []
            for x in paths:
                try:
                    # its access control leaves out what a server may not read
                    if x[0] >= 0:
                        s.check_access(x[0], x[1], 1)
                    mine.append(x)
                except CoapError:
                    pass
            if mine:
                s.sends.append(waiting(s, fmt, ct, mine, done))
                n += 1
    return n


def waiting(s, fmt, ct, paths, done):
    """A function that sends when it is its turn; it stays in `s.sends` until the answer is there."""
    t = s.tree
    ep = used = None
    # what is sent stays the same in all of its blocks: see Tree.memos
    memo = (done, {}, 0)

    def go(now):
        nonlocal ep
        # it is on its way as long as the session has not begun anew
        if ep is not s.coap and s.may_send():
            ep = s.coap
            if memo not in t.snapshots:
                t.snapshots.append(memo)
            ep.request(now, 2, (b"dp",), (), ct, body, answered)

    def body(w):
        nonlocal used
        t.snapshot = memo[1]
        if used is None:
            t.reported = used = []
        t.reader = s.ssid
        try:
            fmt.encode_all(w, t, paths)
        finally:
            t.snapshot = t.reported = t.reader = None

    def answered(code, p):
        s.sends.pop(0)
        if memo in t.snapshots:
            t.snapshots.remove(memo)
        if code == 0x44 and used:
            t.series.sent(used)
        if code == -2:
            s.want_update()
        if done:
            try:
                done(code)
            except Exception as e:
                sys.print_exception(e)

    return go
