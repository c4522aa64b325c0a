# The data tree: object tables, instances, values, and the application's functions behind them
# SPDX-License-Identifier: MIT
from .coap import CoapError
from .model import TABLE
from .port import sys

# access, the third byte of a table's row
_R = const(1)
_MULTI = const(8)

# types, the low four bits of its fourth byte; _UNSIGNED excludes negative integers
_STRING = const(1)
_INTEGER = const(2)
_FLOAT = const(3)
_BOOLEAN = const(4)
_OPAQUE = const(5)
_TIME = const(6)
_OBJLNK = const(7)
_UINT = const(8)
_CORELNK = const(9)
_UNSIGNED = const(128)

# kinds of functions of the application; those of objects/ have a _CHANGED too: f(object, instance, resource)
# after a change, as Tree.changed tells it
_READ = const(1)
_WRITE = const(2)
_EXEC = const(3)
_CREATE = const(4)
_DELETE = const(5)
_VALIDATE = const(6)
_STREAM = const(7)
_CHANGED = const(8)

text = str  # text(v, "utf8") is the str of bytes that are UTF-8, else a ValueError
if len("é") > 1:
    # text is bytes in this build, and any bytes are taken for it
    from .port.utf8 import text

LATER = object()  # what a function of the application returns that answers later


def split(path):
    """The ids of a path such as "/3/0/0" or "3/0" as [object, instance, resource, resource instance],
    -1 where it ends before; ValueError where it is no path."""
    ids = [-1, -1, -1, -1]
    n = 0
    for s in path.strip("/").split("/") if path != "/" else ():
        v = int(s) if s.isdigit() else -1
        if n > 3 or not 0 <= v < 65536:
            raise ValueError("no path: " + path)
        ids[n] = v
        n += 1
    return ids


def join(o, i=-1, r=-1, ri=-1):
    n = (o >= 0) + (i >= 0) + (r >= 0) + (ri >= 0)
    return "/%d" * n % (o, i, r, ri)[:n]


def canonical(kind, v):
    """Value `v` of the application as the tree holds it: bytes for text, an integer for an object link;
    ValueError where it is not of that type. `kind` is the fourth byte of the table's row."""
    t = kind & 15
    if isinstance(v, dict):
        d = {}
        for k in v:
            if not 0 <= k < 65536:
                raise ValueError
            d[k] = canonical(kind, v[k])
        return d
    if t == _INTEGER or t == _TIME or t == _UINT:
        if isinstance(v, (int, bool)) and -1 <= v >> 63 <= (t == _UINT):
            if v >= 0 or not kind & _UNSIGNED:
                return int(v)
    elif t == _FLOAT:
        # neither infinite nor NaN: JSON has no word for them
        if isinstance(v, (int, float)) and v - v == 0:
            return float(v)
    elif t == _BOOLEAN:
        if v == 0 or v == 1:
            return bool(v)
    elif t == _OBJLNK:
        if not isinstance(v, int):
            o, i = v.split(":") if isinstance(v, str) else v
            i = int(i)
            v = int(o) << 16 | i if 0 <= i < 65536 else -1
        if 0 <= v >> 16 < 65536:
            return v
    elif isinstance(v, str):
        v = v.encode()
        if text is not str:
            text(v, "utf8")
        return v
    elif isinstance(v, (bytes, bytearray, memoryview)):
        if t != _OPAQUE:
            text(v, "utf8")
        return v
    raise ValueError("wrong type")


def native(kind, v):
    """The reverse of canonical(): text as str, an object link as (object, instance)."""
    t = kind & 15
    if isinstance(v, dict):
        d = {}
        for k in v:
            d[k] = native(kind, v[k])
        return d
    if v is not None:
        if t == _OBJLNK:
            return v >> 16, v & 65535
        if t == _STRING or t == _CORELNK:
            return str(v, "utf8")
    return v


class Tree:
    # cached values with their times (series.py), and a list for what a message tells of them, or None
    series = used = None
    reader = None  # the short id of the server that an answer is for, while it is written

    def __init__(self, changed):
        self.changed = (
            changed  # changed(object, instance, resource), -1 for created or deleted instances
        )
        self.level = 2  # the minor version registered: objects 1 and 5 show its resources
        self.tables = [TABLE]
        self.inst = {}  # {object: {instance: {resource: value}}}; a multiple resource is a dict
        self.hooks = {}  # {object: [(kind, instance, resource, function)]}
        self.memo = None  # values that a read in several blocks goes on showing
        self.memos = []  # (key, {(o, i, r): value}, ETag): of at most two reads, and of each Send under way
        self.answers = ()
        self.o = None

    def find(self, o):
        """Look object `o` up in the tables; its flags (1 multiple, 2 mandatory), or -1."""
        if o != self.o:
            self.o = None
            self.n = 0
            for t in self.tables:
                p = 8
                while p < len(t) and o != self.o:
                    n = t[p - 5]
                    if t[p - 8] << 8 | t[p - 7] == o:
                        self.o = o
                        self.t = t
                        self.p = p
                        self.n = n
                    p += 8 + 4 * n
        return -1 if o != self.o else self.t[self.p - 6]

    def row(self, o, r):
        """Access << 8 | type of a resource, or 0 where the object has none such."""
        if self.find(o) < 0:
            return 0
        t = self.t
        lo = 0
        hi = self.n
        while lo < hi:
            m = (lo + hi) >> 1
            p = self.p + 4 * m
            x = t[p] << 8 | t[p + 1]
            if x == r:
                return t[p + 2] << 8 | t[p + 3]
            if x < r:
                lo = m + 1
            else:
                hi = m
        return 0

    def shown(self, o, access):
        return access >> 5 <= self.level or o != 1 and o != 5

    def instances(self, o):
        """The ids of the instances of an object, in order."""
        d = self.inst.get(o, ())
        return sorted(d) if len(d) > 1 else d

    def get(self, o, i, r):
        """A value as it stands, without any function; None where there is none."""
        d = self.inst.get(o)
        d = d and d.get(i)
        return d.get(r) if d else None

    def hook(self, kind, o, i, r=-1):
        for k, x, y, f in self.hooks.get(o, ()):
            if k == kind and (x == i or x < 0) and (y == r or y < 0):
                return f
        return None

    def call(self, f, o, i, r, v, kind=0):
        """Call a function of the application: what it raises is a refusal, 5.00 if it says no more; with
        LATER the whole request waits, and is done again once answers[o, i, r] is there."""
        at = o, i, r
        try:
            v = self.answers[at] if at in self.answers else f(join(o, i, r), v)
            if v is LATER:
                self.waiting = at
                raise CoapError(0)
            if isinstance(v, CoapError):
                raise v  # as Client.answer() may give it
            return canonical(kind, v) if kind and v is not None else v
        except CoapError:
            raise
        except Exception as e:
            sys.print_exception(e)
            raise CoapError(0xA0)

    def ask(self, kind, o, i, r, v):
        """Let a function have its say: a CoAP code that it returns is a refusal, so is False."""
        f = self.hook(kind, o, i, r)
        if f:
            v = self.call(f, o, i, r, v)
            if v is False:
                raise CoapError(0x80)
            if isinstance(v, int) and v >= 0x80:
                raise CoapError(v)
        return f

    def read(self, o, i, r):
        """The value to be shown; None where there is none."""
        m = self.memo
        if m is not None and (o, i, r) in m:
            return m[o, i, r]
        v = self.inst[o][i].get(r)
        f = callable(v)
        if f:
            # an object's own function in place of a value
            v = v()
        if o in self.hooks and not (self.series and self.series.owns(o, i, r)):
            g = self.hook(_READ, o, i, r)
            if g:
                f = g
                kind = self.row(o, r)
                v = self.call(f, o, i, r, native(kind, v), kind)
        if f and m is not None:
            m[o, i, r] = v
        return v

    def resources(self, o, i, f, arg):
        """Call f(arg, o, i, r, type, value) for each readable resource of an instance, in order."""
        self.find(o)
        t = self.t
        for p in range(self.p, self.p + 4 * self.n, 4):
            if t[p + 2] & _R and self.shown(o, t[p + 2]):
                r = t[p] << 8 | t[p + 1]
                v = self.read(o, i, r)
                if v is not None:
                    f(arg, o, i, r, t[p + 3] & 15, v)

    def put(self, o, i, r, ri, v):
        """Store a canonical value, None to remove it, and tell of the change."""
        d = self.inst[o][i]
        old = d.get(r)
        if ri >= 0:
            m = dict(old or {})
            m[ri] = v
            if v is None:
                del m[ri]
            v = m
        if self.series:
            self.series.add(o, i, r, v)
        if v == old and type(v) is type(old):
            return
        for m in self.memos:
            m[1].setdefault((o, i, r), old)
        d[r] = v
        if v is None:
            del d[r]
        self.changed(o, i, r)

    def create(self, o, i, d=None):
        self.inst.setdefault(o, {})[i] = d or {}
        self.memos.clear()
        self.changed(o, i, -1)

    def delete(self, o, i):
        del self.inst[o][i]
        self.memos.clear()
        if self.series:
            self.series.drop(o, i)
        self.changed(o, i, -1)
