# The data tree: object tables, instances, values, and the application's functions behind them
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..port import sys
from .tables.core import TABLE
from .values import format_path, to_native, to_stored

# a definition: access << 8 | type
READABLE = const(0x100)
WRITABLE = const(0x200)
EXECUTABLE = const(0x400)
MULTIPLE = const(0x800)
MANDATORY = const(0x1000)

# access, the third byte of a table's row
_ROW_READABLE = const(1)
_ROW_MULTIPLE = const(8)

# kinds of functions of the application; those of objects/ have a ON_CHANGE too: f(object, instance, resource)
# after a change, as Tree.changed tells it
ON_READ = const(1)
ON_WRITE = const(2)
ON_EXECUTE = const(3)
ON_CREATE = const(4)
ON_DELETE = const(5)
VALIDATE = const(6)
ON_STREAM = const(7)
ON_CHANGE = const(8)

LATER = object()  # what a function of the application returns that answers later


class Tree:
    # cached values with their times (series.py), and a list for what a message tells of them, or None
    series = reported = None
    reader = None  # the short id of the server that an answer is for, while it is written

    def __init__(self, changed):
        self.changed = (
            changed  # changed(object, instance, resource), -1 for created or deleted instances
        )
        self.minor = 2  # the minor version registered: objects 1 and 5 show its resources
        self.tables = [TABLE]
        self.objects = {}  # {object: {instance: {resource: value}}}; a multiple resource is a dict
        self.hooks = {}  # {object: [(kind, instance, resource, function)]}
        self.snapshot = None  # values that a read in several blocks goes on showing
        self.snapshots = []  # (key, {(o, i, r): value}, ETag): of at most two reads, and of each Send under way
        self.answers = ()
        self.found = None

    def find(self, o):
        """Look object `o` up in the tables; its flags (1 multiple, 2 mandatory), or -1."""
        if o != self.found:
            self.found = None
            self.count = 0
            for t in self.tables:
                p = 8
                while p < len(t) and o != self.found:
                    n = t[p - 5]
                    if t[p - 8] << 8 | t[p - 7] == o:
                        self.found = o
                        self.table = t
                        self.offset = p
                        self.count = n
                    p += 8 + 4 * n
        return -1 if o != self.found else self.table[self.offset - 6]

    def definition(self, o, r):
        """Access << 8 | type of a resource, or 0 where the object has none such."""
        if self.find(o) < 0:
            return 0
        t = self.table
        lo = 0
        hi = self.count
        while lo < hi:
            m = (lo + hi) >> 1
            p = self.offset + 4 * m
            x = t[p] << 8 | t[p + 1]
            if x == r:
                return t[p + 2] << 8 | t[p + 3]
            if x < r:
                lo = m + 1
            else:
                hi = m
        return 0

    def in_version(self, o, access):
        return access >> 5 <= self.minor or o != 1 and o != 5

    def instances(self, o):
        """The ids of the instances of an object, in order."""
        d = self.objects.get(o, ())
        return sorted(d) if len(d) > 1 else d

    def get(self, o, i, r):
        """A value as it stands, without any function; None where there is none."""
        d = self.objects.get(o)
        d = d and d.get(i)
        return d.get(r) if d else None

    def hook(self, kind, o, i, r=-1):
        for k, x, y, f in self.hooks.get(o, ()):
            if k == kind and (x == i or x < 0) and (y == r or y < 0):
                return f
        return None

    def call_function(self, f, o, i, r, v, kind=0):
        """Call a function of the application: what it raises is a refusal, 5.00 if it says no more; with
        LATER the whole request waits, and is done again once answers[o, i, r] is there."""
        at = o, i, r
        try:
            v = self.answers[at] if at in self.answers else f(format_path(o, i, r), v)
            if v is LATER:
                self.waiting = at
                raise CoapError(0)
            if isinstance(v, CoapError):
                raise v  # as Client.answer() may give it
            return to_stored(kind, v) if kind and v is not None else v
        except CoapError:
            raise
        except Exception as e:
            sys.print_exception(e)
            raise CoapError(0xA0)

    def call_hook(self, kind, o, i, r, v):
        """Let a function have its say: a CoAP code that it returns is a refusal, so is False."""
        f = self.hook(kind, o, i, r)
        if f:
            v = self.call_function(f, o, i, r, v)
            if v is False:
                raise CoapError(0x80)
            if isinstance(v, int) and v >= 0x80:
                raise CoapError(v)
        return f

    def read(self, o, i, r):
        """The value to be shown; None where there is none."""
        m = self.snapshot
        if m is not None and (o, i, r) in m:
            return m[o, i, r]
        v = self.objects[o][i].get(r)
        f = callable(v)
        if f:
            # an object's own function in place of a value
            v = v()
        if o in self.hooks and not (self.series and self.series.owns(o, i, r)):
            g = self.hook(ON_READ, o, i, r)
            if g:
                f = g
                kind = self.definition(o, r)
                v = self.call_function(f, o, i, r, to_native(kind, v), kind)
        if f and m is not None:
            m[o, i, r] = v
        return v

    def each_resource(self, o, i, f, arg):
        """Call f(arg, o, i, r, type, value) for each readable resource of an instance, in order."""
        self.find(o)
        t = self.table
        for p in range(self.offset, self.offset + 4 * self.count, 4):
            if t[p + 2] & _ROW_READABLE and self.in_version(o, t[p + 2]):
                r = t[p] << 8 | t[p + 1]
                v = self.read(o, i, r)
                if v is not None:
                    f(arg, o, i, r, t[p + 3] & 15, v)

    def store(self, o, i, r, ri, v):
        """Store a canonical value, None to remove it, and tell of the change."""
        d = self.objects[o][i]
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
        for m in self.snapshots:
            m[1].setdefault((o, i, r), old)
        d[r] = v
        if v is None:
            del d[r]
        self.changed(o, i, r)

    def create(self, o, i, d=None):
        self.objects.setdefault(o, {})[i] = d or {}
        self.snapshots.clear()
        self.changed(o, i, -1)

    def delete(self, o, i):
        del self.objects[o][i]
        self.snapshots.clear()
        if self.series:
            self.series.drop(o, i)
        self.changed(o, i, -1)
