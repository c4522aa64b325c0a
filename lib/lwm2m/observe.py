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
NAMES = ("pmin", "pmax", "gt", "lt", "st")
_FIRST = const(4)
_GT = const(6)
_LT = const(7)
_ST = const(8)
_END = const(9)

_NUMERIC = (2, 3, 6, 8)


def covers(e, o, i, r):
    """True where something at /o/i/r (-1 where it ends) is under the path of observation `e`."""
    return e[_O] == o and (e[_I] < 0 or i < 0 or (e[_I] == i and (e[_RID] < 0 or r < 0 or e[_RID] == r)))


class Observer:
    """The observations and attributes of one server. Bounds: `most`, `most_attributes`."""

    most = 16
    most_attributes = 16

    def __init__(self, s):
        self.s = s
        self.list = []
        self.attributes = []

    def write_attributes(self, p, row):
        """Write-Attributes (Core 1.1.1 6.3.4): all of the query, or nothing."""
        path = p.path
        r = path[2]
        old = self.at(path)
        new = list(old) if old else path[:] + [None] * (_END - _FIRST)
        for q in p.query:
            k = q.find(b"=")
            name = str(q if k < 0 else q[:k], "utf8")
            if name not in NAMES:
                raise CoapError(0x80)
            n = NAMES.index(name) + _FIRST
            v = None
            if k >= 0:
                for c in q[k + 1 :]:
                    if c not in b"-.0123456789" or (c < 48 and n < _GT):
                        raise CoapError(0x80)
                try:
                    v = float(q[k + 1 :]) if n >= _GT else int(q[k + 1 :])
                except ValueError:
                    raise CoapError(0x80)
            # changes of value are for readable numbers alone
            if n >= _GT and (r < 0 or not row & 0x100 or row & 15 not in _NUMERIC):
                raise CoapError(0x80)
            new[n] = v
        gt, lt, st = new[_GT:]
        if gt is not None and lt is not None and lt + 2 * (st or 0) >= gt or st is not None and st < 0:
            raise CoapError(0x80)
        if old:
            self.attributes.remove(old)
        if new[_FIRST:] != [None] * (_END - _FIRST):
            if len(self.attributes) >= self.most_attributes:
                raise CoapError(0xA0)
            self.attributes.append(new)
        for e in self.list:
            self.timing(e)
        return 0x44

    def at(self, path):
        for a in self.attributes:
            if a[:_FIRST] == path:
                return a
        return None

    def effective(self, path, n):
        """Attribute number `n` in force at a path: that of the nearest level."""
        v = None
        depth = -1
        for a in self.attributes:
            d = 0
            while d < 4 and a[d] == path[d] and a[d] >= 0:
                d += 1
            if a[n] is not None and d > depth and (d == 4 or a[d] < 0):
                depth = d
                v = a[n]
        return v

    def attribute(self, e, n):
        return self.effective(e[_O:_CT], n)

    def timing(self, e):
        pmin = self.attribute(e, _FIRST)
        pmax = self.attribute(e, _FIRST + 1)
        e[_PMIN] = pmin = self.s.account(2) or 0 if pmin is None else pmin
        e[_PMAX] = pmax = self.s.account(3) or 0 if pmax is None else pmax
        if pmax < pmin:
            e[_PMAX] = 0
        e[_COND] = False
        for n in (_GT, _LT, _ST):
            if e[_RID] >= 0 and self.attribute(e, n) is not None:
                e[_COND] = True

    def observe(self, p, ct, now):
        """Take up or end an observation; the number for the Observe option, or -1."""
        path = p.path
        for e in self.list:
            if e[_TOKEN] == p.token or (p.obs == 1 and e[_O:_CT] == path):
                self.list.remove(e)
                break
        if p.obs or len(self.list) >= self.most:
            return -1
        sec = self.s.client.sec
        e = [p.token] + path + [ct, 1, now, sec, None, False, -1, 0, 0, False, sec]
        self.timing(e)
        e[_LAST] = self.number(e)
        self.list.append(e)
        return 1

    def number(self, e):
        if not e[_COND]:
            return None
        v = self.s.tree.read(e[_O], e[_I], e[_RID])
        if e[_RI] >= 0 and v:
            v = v.get(e[_RI])
        return v if isinstance(v, (int, float)) else None

    def changed(self, o, i, r):
        for e in self.list:
            if not e[_DIRTY] and covers(e, o, i, r):
                e[_DIRTY] = not e[_COND] or self.crossed(e)

    def crossed(self, e):
        # Core 1.1.1 7.3.2: gt and lt when the value crosses them, st when it has moved that far
        if e[_I] not in self.s.tree.inst.get(e[_O], ()):
            return True
        v = self.number(e)
        last = e[_LAST]
        if v is None or last is None:
            return True
        st = self.attribute(e, _ST)
        if st is not None and abs(v - last) >= st:
            return True
        for n in (_GT, _LT):
            x = self.attribute(e, n)
            if x is not None and (v > x) != (last > x) and (n == _GT or (v < x) != (last < x)):
                return True
        return False

    def rejected(self, mid):
        for e in self.list:
            if e[_MIDN] == mid:
                self.list.remove(e)
                return

    def left(self, e, now, sec, period):
        # ticks for what is near, seconds for what they can't span
        s = sec - e[_SEC]
        if s > 400000 or period - s > 400000:
            return min(period - s, 400000) * 1000
        return period * 1000 - ticks_diff(now, e[_AT])

    def poll(self, now):
        """Send what is due; the ms until something will be, or -1."""
        wait = -1
        s = self.s
        sec = s.client.sec
        for e in self.list:
            if e[_DIRTY]:
                t = self.left(e, now, sec, e[_PMIN])
            elif e[_PMAX]:
                t = self.left(e, now, sec, e[_PMAX])
            else:
                continue
            if t <= 0:
                if s.ep.busy():
                    continue
                self.notify(e, now, sec)
                return 0
            if wait < 0 or t < wait:
                wait = t
        return wait

    def notify(self, e, now, sec):
        s = self.s
        ep = s.ep
        w = ep.w
        con = s.client.confirmable or sec - e[_CONF] > 86400
        w.begin(0 if con else 1, 0x45, ep.next_mid(), e[_TOKEN])
        e[_SEQ] = (e[_SEQ] + 1) & 0xFFFFFF
        e[_AT] = now
        e[_SEC] = sec
        e[_DIRTY] = False
        try:
            code = s.content(None, e[_O:_CT], e[_SEQ], e[_CT])
        except CoapError as x:
            # what can't be read any more ends with its error (RFC 7641 4.2)
            code = x.args[0] or 0xA0
            self.list.remove(e)
            w.begin(0 if con else 1, code, ep.mid, e[_TOKEN])
        if code == 0x45:
            e[_LAST] = self.number(e)
        if con:
            e[_CONF] = sec

            def done(code, p):
                if code == -2:
                    e[_DIRTY] = True
                    s.lost()
                elif code < 0 and e in self.list:
                    self.list.remove(e)

            ep.confirm(now, None, done)
        else:
            e[_MIDN] = ep.mid
            ep.flush()
