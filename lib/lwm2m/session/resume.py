# A registration that outlives a deep sleep, beside its DTLS session: where it is, until when, who observes what
# SPDX-License-Identifier: MIT
from ..port import binascii, module, time

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
    return str([(o, sorted(t.instances(o))) for o in sorted(t.objects) if o])


def shifted(e, t):
    e = list(e)
    for i in _TIMES:
        e[i] += t
    return e


def keep(s):
    """Save the registration of session `s` by the client's `save`, or, if it is over, that there is none."""
    b = b""
    if s.location:
        s.dtls.keep()
        # all times are of the clock on the wall
        t = time() - s.client.now_s
        b = (
            json.dumps(
                [
                    _FORM,
                    t + s.expires,
                    s.lifetime(),
                    s.minor,
                    objects(s),
                    texts(s.location),
                    s.attributes,
                    # the attributes in force, the last, follow from the others
                    [[text(e[_TOKEN])] + shifted(e, t)[1:-1] for e in s.observations],
                    [
                        (
                            text(g.token),
                            texts(g.query),
                            g.paths,
                            shifted(g.observations[0], t)[_CT : _SEC + 1],
                        )
                        for g in s.composites
                        if g.observations
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
    t = c.now_s - time()
    # more than the lifetime is left where the clock lost its time
    if form != _FORM or not c.now_s < end + t <= c.now_s + life:
        return
    s.location = [binascii.unhexlify(x) for x in location]
    s.expires = end + t
    s.minor = s.tree.minor = level
    s.update_parts = (life != s.lifetime()) | (links != objects(s)) << 2
    s.attributes = attributes
    from ..reporting.observations import resource_changed, apply_attributes

    # a number leaves room for those that went out after it was saved
    for e in observed:
        e = shifted(e + [None], t)
        e[_TOKEN] = binascii.unhexlify(e[_TOKEN])
        e[_SEQ] += 256
        e[_MIDN] = -1
        apply_attributes(s, e)
        s.observations.append(e)
    # what happened meanwhile is not known
    for o in s.tree.objects:
        resource_changed(s, o, -1, -1)
    for token, query, paths, (ct, seq, at, sec) in groups:
        from ..management.composite import Group

        c._message.token = binascii.unhexlify(token)
        c._message.query = [binascii.unhexlify(x) for x in query]
        g = Group(s, c._message, paths, ct, now)
        for e in g.observations:
            e[_SEQ] = seq + 256
            e[_SEC] = sec + t
            e[_DIRTY] = True
        s.composites += (g,)
