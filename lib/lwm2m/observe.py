# Observations, their attributes and notifications (RFC 7641; Core 1.1.1 5.1.2, 6.4)
# SPDX-License-Identifier: MIT
from micropython import const

from .coap.message import CoapError
from .port import ticks_diff

# an observation
_TOKEN = const(0)
_O = const(1)
_I = const(2)
_RID = const(3)
_RI = const(4)
_CT = const(5)
_SEQ = const(6)
_AT = const(7)  # the last notification: ticks
_SEC = const(8)  # and seconds
_LAST = const(9)  # the number in it
_DIRTY = const(10)
_MIDN = const(11)  # the message id, of a non-confirmable one
_PMIN = const(12)
_PMAX = const(13)
_COND = const(14)  # True where gt, lt or st decide
_CONF = const(15)  # seconds at the last confirmable notification

# attributes: [o, i, r, ri, pmin, pmax, gt, lt, st], None where unset
NAMES = (b"pmin", b"pmax", b"gt", b"lt", b"st")
_FIRST = const(4)
_GT = const(6)
_LT = const(7)
_ST = const(8)
_END = const(9)

_NUMERIC = (2, 3, 6, 8)

# a session holds so many observations, and so many attributes, at the most
_MOST = const(16)


def covers(e, o, i, r):
    """True where something at /o/i/r (-1 where it ends) is under the path of observation `e`."""
    return e[_O] == o and (
        e[_I] < 0 or i < 0 or (e[_I] == i and (e[_RID] < 0 or r < 0 or e[_RID] == r))
    )


def write_attributes(s, p, row):
    """Write-Attributes (Core 1.1.1 6.3.4): all of the query, or nothing."""
    path = p.path
    r = path[2]
    old = at(s, path)
    new = list(old) if old else path[:] + [None] * (_END - _FIRST)
    for q in p.query:
        q = q.split(b"=", 1)
        n = _FIRST
        while n < _END and NAMES[n - _FIRST] != q[0]:
            n += 1
        # changes of value are for readable numbers alone
        if n == _END or n >= _GT and (r < 0 or not row & 0x100 or row & 15 not in _NUMERIC):
            raise CoapError(0x80)
        new[n] = None
        if len(q) > 1:
            for c in q[1]:
                if c not in b"-.0123456789" or (c < 48 and n < _GT):
                    raise CoapError(0x80)
            try:
                new[n] = float(q[1]) if n >= _GT else int(q[1])
            except ValueError:
                raise CoapError(0x80)
    gt, lt, st = new[_GT:]
    if gt is not None and lt is not None and lt + 2 * (st or 0) >= gt or st is not None and st < 0:
        raise CoapError(0x80)
    if old:
        s.attributes.remove(old)
    if new[_FIRST:] != [None] * (_END - _FIRST):
        if len(s.attributes) >= _MOST:
            raise CoapError(0xA0)
        s.attributes.append(new)
    for g in (s,) + s.groups:
        for e in g.observed:
            timing(g, e)
    return 0x44


def at(s, path):
    for a in s.attributes:
        if a[:_FIRST] == path:
            return a
    return None


def effective(s, path, n):
    """Attribute number `n` in force at a path: that of the nearest level."""
    v = None
    depth = -1
    for a in s.attributes:
        d = 0
        while d < 4 and a[d] == path[d] and a[d] >= 0:
            d += 1
        if a[n] is not None and d > depth and (d == 4 or a[d] < 0):
            depth = d
            v = a[n]
    return v


def timing(s, e):
    v = [effective(s, e[_O:_CT], n) for n in range(_FIRST, _END)]
    for n in (0, 1):
        # the server's defaults, 1/x/2 and 1/x/3
        e[_PMIN + n] = (s.account(2 + n) or 0) if v[n] is None else v[n]
    if e[_PMAX] < e[_PMIN]:
        e[_PMAX] = 0
    e[_COND] = v[2:] != [None] * 3


def observe(s, p, ct, now):
    """Take up or end an observation; the number for the Observe option, or -1."""
    path = p.path
    for e in s.observed:
        if e[_TOKEN] == p.token or (p.obs == 1 and e[_O:_CT] == path):
            s.observed.remove(e)
            break
    if p.obs or len(s.observed) >= _MOST:
        return -1
    sec = s.client.sec
    e = [p.token] + path + [ct, 1, now, sec, None, False, -1, 0, 0, False, sec]
    timing(s, e)
    e[_LAST] = number(s, e)
    s.observed.append(e)
    return 1


def number(s, e):
    if not e[_COND]:
        return None
    v = s.tree.read(e[_O], e[_I], e[_RID])
    if e[_RI] >= 0 and v:
        v = v.get(e[_RI])
    return v if isinstance(v, (int, float)) else None


def changed(s, o, i, r):
    for e in s.observed:
        if not e[_DIRTY] and covers(e, o, i, r):
            e[_DIRTY] = not e[_COND] or crossed(s, e)
    for g in s.groups:
        changed(g, o, i, r)


def crossed(s, e):
    # Core 1.1.1 7.3.2: gt and lt when the value crosses them, st when it has moved that far
    if e[_I] not in s.tree.inst.get(e[_O], ()):
        return True
    v = number(s, e)
    last = e[_LAST]
    if v is None or last is None:
        return True
    x = effective(s, e[_O:_CT], _ST)
    if x is not None and abs(v - last) >= x:
        return True
    x = effective(s, e[_O:_CT], _GT)
    if x is not None and (v > x) != (last > x):
        return True
    x = effective(s, e[_O:_CT], _LT)
    return x is not None and (v < x) != (last < x)


def rejected(s, mid):
    for e in s.observed:
        if e[_MIDN] == mid:
            drop(s, e)
    for g in s.groups:
        rejected(g, mid)


def drop(s, e):
    # a composite observation has an entry for each of its paths
    s.observed = [x for x in s.observed if x[_TOKEN] != e[_TOKEN]]


def left(e, now, sec, period):
    # ticks for what is near, seconds for what they can't span
    n = sec - e[_SEC]
    if n > 400000 or period - n > 400000:
        return min(period - n, 400000) * 1000
    return period * 1000 - ticks_diff(now, e[_AT])


def poll(s, now):
    """Send what is due; the ms until something will be, or -1."""
    wait = -1
    sec = s.client.sec
    for e in s.observed:
        if e[_DIRTY]:
            t = left(e, now, sec, e[_PMIN])
        elif e[_PMAX]:
            t = left(e, now, sec, e[_PMAX])
        else:
            continue
        if t <= 0:
            if s.ep.busy():
                continue
            notify(s, e, now, sec)
            return 0
        if wait < 0 or t < wait:
            wait = t
    for g in s.groups:
        t = poll(g, now)
        if t >= 0 and (wait < 0 or t < wait):
            wait = t
    return wait


def notify(s, e, now, sec):
    ep = s.ep
    w = ep.w
    con = s.client.confirmable or sec - e[_CONF] > 86400
    w.begin(0 if con else 1, 0x45, ep.next_mid(), e[_TOKEN])
    same = [x for x in s.observed if x[_TOKEN] == e[_TOKEN]]
    for x in same:
        x[_SEQ] = (x[_SEQ] + 1) & 0xFFFFFF
        x[_AT] = now
        x[_SEC] = sec
        x[_DIRTY] = False
    s.tree.used = used = []
    try:
        code = s.content(None, e[_O:_CT], e[_SEQ], e[_CT])
    except CoapError as x:
        # what can't be read any more ends with its error (RFC 7641 4.2)
        code = x.args[0] or 0xA0
        used = None
        drop(s, e)
        w.begin(0 if con else 1, code, ep.mid, e[_TOKEN])
    s.tree.used = None
    for x in same:
        if code == 0x45:
            x[_LAST] = number(s, x)
    if con:
        e[_CONF] = sec

        def done(code, p):
            if code == -2:
                e[_DIRTY] = True
                s.lost()
            elif used and not code:
                s.tree.series.sent(used)
            elif code < 0:
                drop(s, e)

        ep.confirm(now, None, done)
    else:
        e[_MIDN] = ep.mid
        ep.flush()
        if used:
            s.tree.series.sent(used)
