# A registration that outlives a deep sleep, beside its DTLS session: where it is, until when, who observes what
# SPDX-License-Identifier: MIT
try:
    from ujson import dumps, loads
    from ubinascii import hexlify, unhexlify
except ImportError:
    from json import dumps, loads
    from binascii import hexlify, unhexlify
from .port import time


def text(b):
    return str(hexlify(b), "ascii")


def objects(s):
    # what the registration's links are made of; text, as JSON knows no tuples and no numbers as keys
    t = s.tree
    return str([(o, sorted(t.instances(o))) for o in sorted(t.inst) if o])


def keep(s):
    """Save the registration of session `s` by the client's `save`, or, if it is over, that there is none."""
    b = b""
    if s.location:
        s.tls.keep()
        t = time() - s.client.sec
        b = dumps(
            [
                t + s.expires,
                s.lifetime(),
                s.level,
                objects(s),
                [text(x) for x in s.location],
                # when an observation last notified, instead of ticks
                [[text(e[0])] + e[1:7] + [t + e[8], e[9]] for e in s.observed],
                s.attributes,
            ]
        ).encode()
    s.client.save("reg%d" % s.ssid, b)


def wake(s, now):
    """Take back what keep() saved, unless it is over: then session `s` stays as it is."""
    c = s.client
    b = c.load("reg%d" % s.ssid)
    try:
        end, life, level, links, location, observed, attributes = loads(b)
    except (ValueError, TypeError):
        return
    t = time() - c.sec
    # more than the lifetime is left where the clock lost its time
    if not 0 < end - t - c.sec <= life:
        return
    s.location = [unhexlify(x) for x in location]
    s.expires = end - t
    s.level = s.tree.level = level
    s.what = (life != s.lifetime()) | (links != objects(s)) << 2
    s.attributes = attributes
    from .observe import changed, timing

    for e in observed:
        sec = min(e[7] - t, c.sec)
        # the number leaves room for those that went out after it was saved
        e = [unhexlify(e[0])] + e[1:6] + [e[6] + 256, 0, sec, e[8]]
        e += [False, -1, 0, 0, False, sec, sec, False, None, None]
        timing(s, e)
        s.observed.append(e)
    # what happened meanwhile is not known
    for o in s.tree.inst:
        changed(s, o, -1, -1)
