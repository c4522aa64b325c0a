# A registration that outlives a deep sleep, beside its DTLS session: where it is, until when, who observes what
# SPDX-License-Identifier: MIT
from .port import binascii, module, time

json = module("json")

_FORM = const(1)  # another one where what is saved has another form, or observe.py's entries have

# Behind what is saved: MicroPython up to 1.22 takes JSON that is cut for whole.
_END = b"\n"

# in an observation
_TOKEN = const(0)
_CT = const(5)
_SEQ = const(6)
_SEC = const(8)
_DIRTY = const(10)
_MIDN = const(11)
_TIMES = (_SEC, 15, 16)


def text(b):
    return str(binascii.hexlify(b), "ascii")


def texts(x):
    return [text(b) for b in x]


def objects(s):
    # what the registration's links are made of; text, as JSON knows no tuples and no numbers as keys
    t = s.tree
    return str([(o, sorted(t.instances(o))) for o in sorted(t.inst) if o])


def shifted(e, t):
    e = list(e)
    for i in _TIMES:
        e[i] += t
    return e


def keep(s):
    """Save the registration of session `s` by the client's `save`, or, if it is over, that there is none."""
    b = b""
    if s.location:
        s.tls.keep()
        # all times are of the clock on the wall
        t = time() - s.client.sec
        b = (
            json.dumps(
                [
                    _FORM,
                    t + s.expires,
                    s.lifetime(),
                    s.level,
                    objects(s),
                    texts(s.location),
                    s.attributes,
                    # the attributes in force, the last, follow from the others
                    [[text(e[_TOKEN])] + shifted(e, t)[1:-1] for e in s.observed],
                    [
                        (
                            text(g.token),
                            texts(g.query),
                            g.paths,
                            shifted(g.observed[0], t)[_CT : _SEC + 1],
                        )
                        for g in s.groups
                        if g.observed
                    ],
                ]
            ).encode()
            + _END
        )
    s.client.save("reg%d" % s.ssid, b)


def wake(s, now):
    """Take back what keep() saved, unless it is over: then session `s` stays as it is."""
    c = s.client
    b = c.load("reg%d" % s.ssid)
    try:
        if b[-1:] != _END:
            raise ValueError
        form, end, life, level, links, location, attributes, observed, groups = json.loads(b)
    except (ValueError, TypeError):
        return
    t = c.sec - time()
    # more than the lifetime is left where the clock lost its time
    if form != _FORM or not c.sec < end + t <= c.sec + life:
        return
    s.location = [binascii.unhexlify(x) for x in location]
    s.expires = end + t
    s.level = s.tree.level = level
    s.what = (life != s.lifetime()) | (links != objects(s)) << 2
    s.attributes = attributes
    from .observe import changed, timing

    # a number leaves room for those that went out after it was saved
    for e in observed:
        e = shifted(e + [None], t)
        e[_TOKEN] = binascii.unhexlify(e[_TOKEN])
        e[_SEQ] += 256
        e[_MIDN] = -1
        timing(s, e)
        s.observed.append(e)
    # what happened meanwhile is not known
    for o in s.tree.inst:
        changed(s, o, -1, -1)
    for token, query, paths, (ct, seq, at, sec) in groups:
        from .composite import Group

        c.p.token = binascii.unhexlify(token)
        c.p.query = [binascii.unhexlify(x) for x in query]
        g = Group(s, c.p, paths, ct, now)
        for e in g.observed:
            e[_SEQ] = seq + 256
            e[_SEC] = sec + t
            e[_DIRTY] = True
        s.groups += (g,)
