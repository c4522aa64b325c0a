# The data tree: object tables, instances, values, and the application's functions behind them
# SPDX-License-Identifier: MIT
from ..coap.numbers import BAD_REQUEST, FIRST_ERROR, INTERNAL_SERVER_ERROR, CoapError
from ..ids import FIRMWARE_UPDATE, SERVER
from ..port import sys
from .tables.core import TABLE
from .values import TYPE_MASK, format_path, to_native, to_stored

# A table is the definitions of some objects, one after the other. Each begins with eight bytes: the object's
# id (2), its flags, the number of its resources, the versions of the object in LwM2M 1.0, 1.1 and 1.2 (major << 4
# | minor), and a 0. Rows of four bytes follow, sorted by id: the resource's id (2), and its definition (2).
_HEAD = const(8)
_ROW = const(4)
_FLAGS = const(2)
_COUNT = const(3)
_VERSIONS = const(4)
_ACCESS = const(2)  # in a row: the upper byte of the definition
_TYPE = const(3)  # and the lower one

# flags of an object
SEVERAL_INSTANCES = const(1)
MANDATORY_OBJECT = const(2)

# a definition: minor version << 13 | access | type; the type is in values.py
READABLE = const(0x100)
WRITABLE = const(0x200)
EXECUTABLE = const(0x400)
MULTIPLE = const(0x800)
MANDATORY = const(0x1000)
_MINOR_SHIFT = const(13)

# the rights of a server to an instance (Core 1.1.1 E.3), as an ACL has them
MAY_READ = const(1)
MAY_WRITE = const(2)
MAY_EXECUTE = const(4)
MAY_DELETE = const(8)
MAY_CREATE = const(16)

# Kinds of functions. Those of the application are described in docs/api.md; ON_CHANGE is for objects that have
# behaviour: fn(oid, iid, rid) after a change, rid -1 where the instance was created or deleted. ON_OPEN: fn(session)
# gives the function(offset, data, more) that takes an opaque resource as it is written, in whatever format.
ON_READ = const(1)
ON_WRITE = const(2)
ON_EXECUTE = const(3)
ON_CREATE = const(4)
ON_DELETE = const(5)
VALIDATE = const(6)
ON_STREAM = const(7)
ON_CHANGE = const(8)
ON_OPEN = const(9)

LATER = object()  # what a function of the application returns that answers later


class Later(CoapError):
    """A function of the application said LATER: the request waits for it (tree.waiting says where). Its code, 0,
    is that of a response that is not there yet."""


class Tree:
    """What servers see: `objects` is {oid: {iid: {rid: value}}}, a multiple resource being {riid: value}, and
    values being as values.to_stored() makes them; a function in place of a value is called for it.

    `changed(oid, iid, rid)` hears of every change, rid -1 for a created or deleted instance."""

    root_path = b""  # the alternate path, such as b"/lwm2m", which names in SenML begin with
    minor = 2  # the minor version that is registered: objects 1 and 5 show its resources
    series = None  # cached values with their times (reporting/timeseries.py), if there are any
    reported = None  # a list that learns what of them a message tells, while it is written
    guard = None  # access control: its readable(ssid, oid, ids) are the instances that a server may read
    reader = None  # the short id of the server that an answer is for, while it is written
    snapshot = None  # {(oid, iid, rid): value}: what a read in several blocks goes on showing
    answers = ()  # {(oid, iid, rid): value}: what functions that said LATER have answered by now
    waiting = None  # (oid, iid, rid) of the function that said LATER last
    _found = None

    def __init__(self, changed):
        self.changed = changed
        self.tables = [TABLE]
        self.objects = {}
        self.hooks = {}  # {oid: [(kind, iid, rid, function)]}, iid and rid -1 where it is for all
        self.snapshots = []  # (key, snapshot, ETag): of at most two reads, and of each Send under way

    # definitions

    def find(self, oid):
        """Look an object up in the tables; its flags, or -1."""
        if oid != self._found:
            self._found = None
            for table in self.tables:
                row = _HEAD
                while row < len(table) and oid != self._found:
                    head = row - _HEAD
                    count = table[head + _COUNT]
                    if table[head] << 8 | table[head + 1] == oid:
                        self._found = oid
                        self._table = table
                        self._row = row
                        self._count = count
                    row += _HEAD + _ROW * count
        return -1 if oid != self._found else self._table[self._row - _HEAD + _FLAGS]

    def version(self, oid):
        """The version (major << 4 | minor) of an object in the version of LwM2M that is registered."""
        self.find(oid)
        return self._table[self._row - _HEAD + _VERSIONS + self.minor]

    def definition(self, oid, rid):
        """The definition of a resource, or 0 where the object has none such."""
        if self.find(oid) < 0:
            return 0
        table = self._table
        low = 0
        high = self._count
        while low < high:
            middle = (low + high) >> 1
            row = self._row + _ROW * middle
            found = table[row] << 8 | table[row + 1]
            if found == rid:
                return table[row + _ACCESS] << 8 | table[row + _TYPE]
            if found < rid:
                low = middle + 1
            else:
                high = middle
        return 0

    def definitions(self, oid):
        """(rid, definition) of each resource that an object may have, in order."""
        self.find(oid)
        table = self._table
        for row in range(self._row, self._row + _ROW * self._count, _ROW):
            yield (
                table[row] << 8 | table[row + 1],
                table[row + _ACCESS] << 8 | table[row + _TYPE],
            )

    def in_version(self, oid, definition):
        """False for a resource of object 1 or 5 that came after the version that is registered."""
        if definition >> _MINOR_SHIFT <= self.minor:
            return True
        return oid != SERVER and oid != FIRMWARE_UPDATE

    # functions

    def show(self, oid):
        """Let servers see an object, though it has no instance yet."""
        self.objects.setdefault(oid, {})

    def add_hook(self, kind, oid, iid, rid, function):
        """Add a function of the kind to /oid/iid/rid (-1: to all), behind those that are asked before it."""
        self.hooks.setdefault(oid, []).append((kind, iid, rid, function))

    def set_hook(self, kind, oid, iid, rid, function):
        """Let a function be asked before all others, in place of the one that had the same path; None ends that."""
        hooks = self.hooks.setdefault(oid, [])
        for hook in hooks:
            if hook[:3] == (kind, iid, rid):
                hooks.remove(hook)
                break
        if function:
            hooks.insert(0, (kind, iid, rid, function))

    def hook(self, kind, oid, iid, rid=-1):
        """The function of a kind that is asked for /oid/iid/rid, or None."""
        for its_kind, its_iid, its_rid, function in self.hooks.get(oid, ()):
            if (
                its_kind == kind
                and (its_iid == iid or its_iid < 0)
                and (its_rid == rid or its_rid < 0)
            ):
                return function
        return None

    def call_function(self, function, oid, iid, rid, value, definition=0):
        """Call a function of the application: what it raises is a refusal, 5.00 if it says no more. With
        LATER the whole request waits, and is done again once answers[oid, iid, rid] is there. With a
        definition the result is a value to be read."""
        path = oid, iid, rid
        try:
            if path in self.answers:
                value = self.answers[path]
            else:
                value = function(format_path(oid, iid, rid), value)
            if value is LATER:
                self.waiting = path
                raise Later(0)
            if isinstance(value, CoapError):
                raise value  # as Client.answer() may give it
            return to_stored(definition, value) if definition and value is not None else value
        except CoapError:
            raise
        except Exception as e:
            sys.print_exception(e)
            raise CoapError(INTERNAL_SERVER_ERROR)

    def call_hook(self, kind, oid, iid, rid, value):
        """Let the function of a kind have its say, if there is one, and return it: a CoAP code that it returns
        is a refusal, so is False (4.00)."""
        function = self.hook(kind, oid, iid, rid)
        if function:
            outcome = self.call_function(function, oid, iid, rid, value)
            if outcome is False:
                raise CoapError(BAD_REQUEST)
            if isinstance(outcome, int) and outcome >= FIRST_ERROR:
                raise CoapError(outcome)
        return function

    # values

    def instances(self, oid):
        """The ids of the instances of an object, in order; while an answer is written, of those that the server
        it is for may read."""
        ids = self.objects.get(oid, ())
        if len(ids) > 1:
            ids = sorted(ids)
        if self.guard and self.reader is not None:
            return self.guard.readable(self.reader, oid, ids)
        return ids

    def get(self, oid, iid, rid):
        """A value as it stands, without any function; None where there is none."""
        instances = self.objects.get(oid)
        values = instances and instances.get(iid)
        return values.get(rid) if values else None

    def shows(self, oid, iid, rid):
        """Is there a value, without asking any function? As the answer that is being written shows it."""
        snapshot = self.snapshot
        if snapshot and (oid, iid, rid) in snapshot:
            return snapshot[oid, iid, rid] is not None
        return self.get(oid, iid, rid) is not None

    def read(self, oid, iid, rid):
        """The value to be shown; None where there is none."""
        snapshot = self.snapshot
        if snapshot is not None and (oid, iid, rid) in snapshot:
            return snapshot[oid, iid, rid]
        value = self.objects[oid][iid].get(rid)
        made = callable(value)
        if made:
            # an object's own function in place of a value
            value = value()
        if oid in self.hooks and not (self.series and self.series.owns(oid, iid, rid)):
            function = self.hook(ON_READ, oid, iid, rid)
            if function:
                made = True
                definition = self.definition(oid, rid)
                value = self.call_function(
                    function, oid, iid, rid, to_native(definition, value), definition
                )
        if made and snapshot is not None:
            snapshot[oid, iid, rid] = value
        return value

    def each_resource(self, oid, iid, function, argument):
        """Call function(argument, oid, iid, rid, type, value) for each readable resource of an instance that
        has a value, in order."""
        self.find(oid)
        table = self._table
        # definitions() would allocate for each of them
        for row in range(self._row, self._row + _ROW * self._count, _ROW):
            definition = table[row + _ACCESS] << 8 | table[row + _TYPE]
            if definition & READABLE and self.in_version(oid, definition):
                rid = table[row] << 8 | table[row + 1]
                value = self.read(oid, iid, rid)
                if value is not None:
                    function(argument, oid, iid, rid, definition & TYPE_MASK, value)

    def store(self, oid, iid, rid, riid, value):
        """Store a value (of one instance of a multiple resource, where riid is not -1) as to_stored() made it,
        None to remove it, and tell of the change."""
        values = self.objects[oid][iid]
        old = values.get(rid)
        if riid >= 0:
            every = dict(old or {})
            every[riid] = value
            if value is None:
                del every[riid]
            value = every
        if self.series:
            self.series.add(oid, iid, rid, value)
        if value == old and type(value) is type(old):
            return
        for _, snapshot, _ in self.snapshots:
            snapshot.setdefault((oid, iid, rid), old)
        values[rid] = value
        if value is None:
            del values[rid]
        self.changed(oid, iid, rid)

    def create(self, oid, iid, values=None):
        """Make an instance, or replace it, with these values."""
        self.objects.setdefault(oid, {})[iid] = values or {}
        self.snapshots.clear()
        self.changed(oid, iid, -1)

    def delete(self, oid, iid):
        """Delete an instance."""
        del self.objects[oid][iid]
        self.snapshots.clear()
        if self.series:
            self.series.drop(oid, iid)
        self.changed(oid, iid, -1)
