# Observations, their attributes and notifications (RFC 7641; Core 1.1.1 5.1.2, 6.4)
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from .attributes import (
    CONFIRMABLE,
    EDGE,
    EPMAX,
    EPMIN,
    FIRST,
    GREATER_THAN,
    LESS_THAN,
    MOST,
    SIZE,
    STEP,
    attribute_at,
    parse_attributes,
)

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


def reapply_attributes(s):
    for g in (s,) + s.composites:
        for e in g.observations:
            apply_attributes(g, e)


def apply_attributes(s, e):
    e[_V] = v = [None] * SIZE
    for n in range(FIRST, SIZE):
        v[n] = e[_OWN] and e[_OWN][n]
        if v[n] is None:
            v[n] = attribute_at(s, e[_O:_CT], n, -1)
    for n in range(2):
        # the server's defaults, 1/x/2 and 1/x/3
        x = v[FIRST + n]
        e[_PMIN + n] = (s.server(2 + n) or 0) if x is None else x
    if e[_PMAX] < e[_PMIN]:
        e[_PMAX] = 0
    e[_COND] = v[GREATER_THAN:EPMIN] != [None] * 3 or v[EDGE] is not None
    if e[_LAST] is None:
        e[_LAST] = measured(s, e)


def observe(s, p, ct, now):
    """Take up or end an observation; the number for the Observe option, or -1."""
    path = p.path
    for e in s.observations:
        if e[_TOKEN] == p.token or (p.observe == 1 and e[_O:_CT] == path):
            s.observations.remove(e)
            break
    if p.observe or len(s.observations) >= MOST:
        return -1
    sec = s.client.now_s
    own = None
    if p.query:
        own = [None] * SIZE
        parse_attributes(s, p.query, own, path[2], s.tree.definition(path[0], path[2]))
    e = (
        [p.token]
        + path
        + [ct, 1, s.client.now_ms, sec, None, False, -1, 0, 0, False, sec, sec, False, own, None]
    )
    apply_attributes(s, e)
    s.observations.append(e)
    if s.tree.series:
        e[_DIRTY] = s.tree.series.kept(path[0], path[1], path[2])
    return 1


def measured(s, e):
    # what a change is measured by: a number, or the value of a resource instance, whose neighbours change too
    if not (e[_COND] or e[_V][EPMAX] or e[_RI] >= 0):
        return None
    try:
        v = s.tree.read(e[_O], e[_I], e[_RID])
    except (CoapError, KeyError):
        # a function refuses, or the instance is gone
        return None
    if e[_RI] >= 0 and v:
        v = v.get(e[_RI])
    return v if isinstance(v, (int, float, bool)) or e[_RI] >= 0 else None


def resource_changed(s, o, i, r):
    if o == 1 and 2 <= r <= 3:
        reapply_attributes(s)
    for e in s.observations:
        x = e[_I]
        y = e[_RID]
        # what changed is under the observed path, or above it
        if (
            e[_O] == o
            and (x < 0 or i < 0 or x == i)
            and (y < 0 or r < 0 or y == r)
            and not e[_DIRTY]
        ):
            x = e[_V][EPMIN]
            if x and s.client.now_s - e[_EVAL] < x:
                e[_WAIT] = True
            else:
                e[_EVAL] = s.client.now_s
                e[_DIRTY] = condition_met(s, e)
    for g in s.composites:
        resource_changed(g, o, i, r)


def condition_met(s, e):
    # Core 1.1.1 7.3.2: gt and lt when the value crosses them, st when it has moved that far
    v = measured(s, e)
    last = e[_LAST]
    if v is None or last is None:
        return True
    a = e[_V]
    if not e[_COND]:
        return v != last
    x = a[EDGE]
    if x is not None:
        # the last value is that of the last change here
        e[_LAST] = v
        return v != last and v == x
    x = a[STEP]
    if x is not None and abs(v - last) >= x:
        return True
    x = a[GREATER_THAN]
    if x is not None and (v > x) != (last > x):
        return True
    x = a[LESS_THAN]
    return x is not None and (v < x) != (last < x)


def notification_rejected(s, mid):
    for e in s.observations:
        if e[_MIDN] == mid:
            end_observation(s, e)
    for g in s.composites:
        notification_rejected(g, mid)


def end_observation(s, e):
    # a composite observation has an entry for each of its paths
    s.observations = [x for x in s.observations if x[_TOKEN] != e[_TOKEN]]


def poll(s, now):
    """Send what is due; the ms until something will be, or -1."""
    wait = -1
    c = s.client
    sec = c.now_s
    for e in s.observations:
        dirty = e[_DIRTY]
        x = e[_V][EPMIN if e[_WAIT] else EPMAX]
        if x and not dirty:
            # an evaluation is due: of a change that came too early, or of a value that only a function knows
            t = (e[_EVAL] + x - sec) * 1000
            if t <= 0:
                e[_EVAL] = sec
                e[_DIRTY] = condition_met(s, e)
                e[_WAIT] = False
                return 0
            if wait < 0 or t < wait:
                wait = t
        x = e[_PMIN if dirty else _PMAX]
        if dirty or x:
            # ms since the last notification until this period is over, or far from it
            t = min(x - sec + e[_SEC], 400000) * 1000 - c.now_ms + e[_AT]
            if t <= 0:
                if s.may_send() and not waits(s, e):
                    notify(s, e, now, sec)
                    return 0
            elif wait < 0 or t < wait:
                wait = t
    for g in s.composites:
        t = poll(g, now)
        if t >= 0 and (wait < 0 or t < wait):
            wait = t
    return wait


def check_readable(t, o, i, r, ri, row):
    """Refuse to read what is not there or not readable."""
    if not row & 0x100:
        raise CoapError(0x85)
    if i >= 0 and i not in t.objects[o]:
        raise CoapError(0x84)
    if r >= 0:
        v = t.read(o, i, r)
        if v is None or (ri >= 0 and (not isinstance(v, dict) or ri not in v)):
            raise CoapError(0x84)


def waits(s, e):
    # True where a function is still to answer for the notification before
    for x in s.deferred:
        if len(x) < 6 and x[4][_TOKEN] == e[_TOKEN]:
            return True
    return False


def notify(s, e, now, sec):
    ep = s.coap
    w = ep.writer
    t = s.tree
    token = e[_TOKEN]
    con = e[_V][CONFIRMABLE]
    if con is None:
        con = s.server(26, s.client.confirmable)
    non = not con and sec - e[_CONF] <= 86400
    mid = ep.next_mid()
    w.begin(non, 0x45, mid, token)
    for x in s.observations:
        if x[_TOKEN] == token:
            x[_SEQ] = (x[_SEQ] + 1) & 0xFFFFFF
            x[_AT] = s.client.now_ms
            x[_SEC] = sec
            # what has changed while a function made up its answer is told next
            x[_DIRTY] = x[_DIRTY] and t.answers
            x[_LAST] = measured(s, x)
    t.reported = used = []
    try:
        if not s.paths:
            check_readable(t, e[_O], e[_I], e[_RID], e[_RI], 0x100)
        s.put_content(None, e[_O:_CT], e[_SEQ], e[_CT])
    except CoapError as x:
        if not x.args[0]:
            # a function answers later, and the notification waits for that
            t.reported = t.snapshot = None
            s.deferred.append((t.waiting, t.answers or {}, sec, s, e))
            return
        # what can't be read any more ends with its error (RFC 7641 4.2)
        used = None
        end_observation(s, e)
        w.begin(non, x.args[0] or 0xA0, mid, token)
    t.reported = t.snapshot = None
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
                s.store_changes()
                s.want_update()
            elif used and not code:
                t.series.sent(used)
            elif code < 0:
                end_observation(s, e)

        ep.send_confirmable(now, None, done)
