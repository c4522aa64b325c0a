# Observations, their attributes and notifications (RFC 7641; Core 1.1.1 5.1.2, 6.4)
# SPDX-License-Identifier: MIT
from .coap import CoapError

# an observation
_TOKEN = const(0)
_O = const(1)
_I = const(2)
_RID = const(3)
_RI = const(4)
_CT = const(5)
_SEQ = const(6)
_AT = const(7)  # the last notification: milliseconds
_SEC = const(8)  # and seconds
_LAST = const(9)  # what number() gave then
_DIRTY = const(10)
_MIDN = const(11)  # the message id, of a non-confirmable one
_PMIN = const(12)
_PMAX = const(13)
_COND = const(14)  # True where gt, lt, st or edge decide
_CONF = const(15)  # seconds at the last confirmable notification
_EVAL = const(16)  # seconds at the last evaluation
_WAIT = const(17)  # True where a change waits for its evaluation
_OWN = const(18)  # attributes of the request itself (LwM2M 1.2), or None
_V = const(19)  # the attributes in force

# attributes: the four ids of a path, then these, None where unset
NAMES = b"pmin pmax gt lt st epmin epmax edge con hqmax"
_FIRST = const(4)
_GT = const(6)
_LT = const(7)
_ST = const(8)
_EPMIN = const(9)
_EPMAX = const(10)
_EDGE = const(11)
_CON = const(12)
_SIZE = const(14)

_NUMBERS = const(0x14C)  # by type, as in tree.py: integer, float, time, unsigned integer

# a session holds so many observations, and so many attributes, at the most
_MOST = const(16)


def attributes(s, p, row):
    """Write-Attributes (Core 1.1.1 6.3.4): all of the query, or nothing."""
    path = p.path
    r = path[2]
    old = None
    for a in s.attributes:
        if a[:_FIRST] == path:
            old = a
    new = list(old) if old else path[:] + [None] * (_SIZE - _FIRST)
    parse(s, p.query, new, r, row)
    gt, lt, st = new[_GT:_EPMIN]
    if gt is not None and lt is not None and lt + 2 * (st or 0) >= gt or st is not None and st < 0:
        raise ValueError
    if old:
        s.attributes.remove(old)
    if new.count(None) < _SIZE - _FIRST:
        if len(s.attributes) >= _MOST:
            raise CoapError(0xA0)
        s.attributes.append(new)
    retime(s)
    return 0x44


def parse(s, query, new, r, row):
    """Take the attributes of a query into a list of them."""
    end = (_EPMIN, _EDGE, _SIZE)[s.tree.level]
    names = NAMES.split()
    for q in query:
        q = q.split(b"=", 1)
        n = _FIRST + names.index(q[0])
        # changes of value are for readable numbers alone, edges for booleans
        of_value = _GT <= n < _EPMIN
        if (
            n >= end
            or (of_value and (r < 0 or not row & 0x100 or not _NUMBERS >> (row & 15) & 1))
            or (n == _EDGE and (r < 0 or row & 15 != 4))
        ):
            raise ValueError
        v = None
        if len(q) > 1:
            v = q[1]
            for c in v:
                if c not in b"-.0123456789" or (c < 48 and not of_value):
                    raise ValueError
            v = float(v) if of_value else int(v)
            if v > 1 and (n == _EDGE or n == _CON):
                raise ValueError
        new[n] = v


def retime(s):
    for g in (s,) + s.groups:
        for e in g.observed:
            timing(g, e)


def effective(s, path, n, depth):
    """Attribute number `n` in force at a path: that of the nearest level, if it has more than `depth` ids."""
    v = None
    for a in s.attributes:
        d = 0
        while d < 4 and a[d] == path[d] and a[d] >= 0:
            d += 1
        if a[n] is not None and d > depth and (d == 4 or a[d] < 0):
            depth = d
            v = a[n]
    return v


def timing(s, e):
    e[_V] = v = [None] * _SIZE
    for n in range(_FIRST, _SIZE):
        v[n] = e[_OWN] and e[_OWN][n]
        if v[n] is None:
            v[n] = effective(s, e[_O:_CT], n, -1)
    for n in range(2):
        # the server's defaults, 1/x/2 and 1/x/3
        x = v[_FIRST + n]
        e[_PMIN + n] = (s.account(2 + n) or 0) if x is None else x
    if e[_PMAX] < e[_PMIN]:
        e[_PMAX] = 0
    e[_COND] = v[_GT:_EPMIN] != [None] * 3 or v[_EDGE] is not None
    if e[_LAST] is None:
        e[_LAST] = number(s, e)


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
    own = None
    if p.query:
        own = [None] * _SIZE
        parse(s, p.query, own, path[2], s.tree.row(path[0], path[2]))
    e = (
        [p.token]
        + path
        + [ct, 1, s.client.ms, sec, None, False, -1, 0, 0, False, sec, sec, False, own, None]
    )
    timing(s, e)
    s.observed.append(e)
    if s.tree.series:
        e[_DIRTY] = s.tree.series.kept(path[0], path[1], path[2])
    return 1


def number(s, e):
    # what a change is measured by: a number, or the value of a resource instance, whose neighbours change too
    if not (e[_COND] or e[_V][_EPMAX] or e[_RI] >= 0):
        return None
    try:
        v = s.tree.read(e[_O], e[_I], e[_RID])
    except (CoapError, KeyError):
        # a function refuses, or the instance is gone
        return None
    if e[_RI] >= 0 and v:
        v = v.get(e[_RI])
    return v if isinstance(v, (int, float, bool)) or e[_RI] >= 0 else None


def changed(s, o, i, r):
    if o == 1 and 2 <= r <= 3:
        retime(s)
    for e in s.observed:
        x = e[_I]
        y = e[_RID]
        # what changed is under the observed path, or above it
        if (
            e[_O] == o
            and (x < 0 or i < 0 or x == i)
            and (y < 0 or r < 0 or y == r)
            and not e[_DIRTY]
        ):
            x = e[_V][_EPMIN]
            if x and s.client.sec - e[_EVAL] < x:
                e[_WAIT] = True
            else:
                e[_EVAL] = s.client.sec
                e[_DIRTY] = crossed(s, e)
    for g in s.groups:
        changed(g, o, i, r)


def crossed(s, e):
    # Core 1.1.1 7.3.2: gt and lt when the value crosses them, st when it has moved that far
    v = number(s, e)
    last = e[_LAST]
    if v is None or last is None:
        return True
    a = e[_V]
    if not e[_COND]:
        return v != last
    x = a[_EDGE]
    if x is not None:
        # the last value is that of the last change here
        e[_LAST] = v
        return v != last and v == x
    x = a[_ST]
    if x is not None and abs(v - last) >= x:
        return True
    x = a[_GT]
    if x is not None and (v > x) != (last > x):
        return True
    x = a[_LT]
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


def poll(s, now):
    """Send what is due; the ms until something will be, or -1."""
    wait = -1
    c = s.client
    sec = c.sec
    for e in s.observed:
        dirty = e[_DIRTY]
        x = e[_V][_EPMIN if e[_WAIT] else _EPMAX]
        if x and not dirty:
            # an evaluation is due: of a change that came too early, or of a value that only a function knows
            t = (e[_EVAL] + x - sec) * 1000
            if t <= 0:
                e[_EVAL] = sec
                e[_DIRTY] = crossed(s, e)
                e[_WAIT] = False
                return 0
            if wait < 0 or t < wait:
                wait = t
        x = e[_PMIN if dirty else _PMAX]
        if dirty or x:
            # ms since the last notification until this period is over, or far from it
            t = min(x - sec + e[_SEC], 400000) * 1000 - c.ms + e[_AT]
            if t <= 0:
                if s.wake() and not waits(s, e):
                    notify(s, e, now, sec)
                    return 0
            elif wait < 0 or t < wait:
                wait = t
    for g in s.groups:
        t = poll(g, now)
        if t >= 0 and (wait < 0 or t < wait):
            wait = t
    return wait


def present(t, o, i, r, ri, row):
    """Refuse to read what is not there or not readable."""
    if not row & 0x100:
        raise CoapError(0x85)
    if i >= 0 and i not in t.inst[o]:
        raise CoapError(0x84)
    if r >= 0:
        v = t.read(o, i, r)
        if v is None or (ri >= 0 and (not isinstance(v, dict) or ri not in v)):
            raise CoapError(0x84)


def waits(s, e):
    # True where a function is still to answer for the notification before
    for x in s.later:
        if len(x) < 6 and x[4][_TOKEN] == e[_TOKEN]:
            return True
    return False


def notify(s, e, now, sec):
    ep = s.ep
    w = ep.w
    t = s.tree
    token = e[_TOKEN]
    con = e[_V][_CON]
    if con is None:
        con = s.account(26, s.client.confirmable)
    non = not con and sec - e[_CONF] <= 86400
    mid = ep.next_mid()
    w.begin(non, 0x45, mid, token)
    for x in s.observed:
        if x[_TOKEN] == token:
            x[_SEQ] = (x[_SEQ] + 1) & 0xFFFFFF
            x[_AT] = s.client.ms
            x[_SEC] = sec
            # what has changed while a function made up its answer is told next
            x[_DIRTY] = x[_DIRTY] and t.answers
            x[_LAST] = number(s, x)
    t.used = used = []
    try:
        if not s.paths:
            present(t, e[_O], e[_I], e[_RID], e[_RI], 0x100)
        s.content(None, e[_O:_CT], e[_SEQ], e[_CT])
    except CoapError as x:
        if not x.args[0]:
            # a function answers later, and the notification waits for that
            t.used = t.memo = None
            s.later.append((t.waiting, t.answers or {}, sec, s, e))
            return
        # what can't be read any more ends with its error (RFC 7641 4.2)
        used = None
        drop(s, e)
        w.begin(non, x.args[0] or 0xA0, mid, token)
    t.used = t.memo = None
    if non:
        e[_MIDN] = mid
        ep.flush()
        if used:
            t.series.sent(used)
    else:
        e[_CONF] = sec

        def done(code, p):
            if code == -2:
                e[_DIRTY] = True
                s.hold()
                s.lost()
            elif used and not code:
                t.series.sent(used)
            elif code < 0:
                drop(s, e)

        ep.confirm(now, None, done)
