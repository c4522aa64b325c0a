# Attributes of notifications: what a server attaches to a path, and what holds there (Core 1.1.1 5.1.2, 7.3)
# SPDX-License-Identifier: MIT
from ..coap.numbers import INTERNAL_SERVER_ERROR, METHOD_NOT_ALLOWED, NOT_FOUND, CoapError
from ..model.tree import READABLE
from ..model.values import BOOLEAN, FLOAT, INTEGER, TIME, TYPE_MASK, UINT

# in the order in which the versions of LwM2M brought them, and Discover shows them
NAMES = ("pmin", "pmax", "gt", "lt", "st", "epmin", "epmax", "edge", "con", "hqmax")
_KNOWN = (5, 7, 10)  # so many of them, by the minor version that is registered
_OF_VALUE = ("gt", "lt", "st")  # for numbers alone, and numbers with a fraction themselves
_FLAGS = ("edge", "con")  # 0 or 1
_NUMBERS = (INTEGER, FLOAT, TIME, UINT)

_MOST = const(16)  # paths of a session that may have attributes
_PATH_LENGTH = const(4)


class Attributes:
    """The attributes of a path: seconds, values, 0 or 1, a number of values; None where one is not set."""

    pmin = pmax = gt = lt = st = epmin = epmax = edge = con = hqmax = None
    path = None  # [oid, iid, rid, riid] that a server attached them to

    def is_empty(self):
        for name in NAMES:
            if getattr(self, name) is not None:
                return False
        return True

    def check(self):
        """Refuse bounds that could not be met in turn (Core 1.1.1 5.1.2)."""
        if self.st is not None and self.st < 0:
            raise ValueError
        if self.gt is not None and self.lt is not None:
            if self.lt + 2 * (self.st or 0) >= self.gt:
                raise ValueError

    def parse(self, query, minor, rid, definition):
        """Take what a query says, b"pmin=5" or b"pmin" to unset it; ValueError where it says what can't be for a
        path with resource `rid` (-1: none) of that definition."""
        for part in query:
            part = part.split(b"=", 1)
            name = str(part[0], "utf8")
            if name not in NAMES[: _KNOWN[minor]]:
                raise ValueError
            kind = definition & TYPE_MASK if rid >= 0 and definition & READABLE else None
            if name in _OF_VALUE and kind not in _NUMBERS or name == "edge" and kind != BOOLEAN:
                raise ValueError
            setattr(self, name, parse_value(name, part[1]) if len(part) > 1 else None)


def parse_value(name, text):
    """The number that an attribute is set to."""
    of_value = name in _OF_VALUE
    # int() and float() take spaces, underlines and names, and float() a dot alone
    if not text.strip(b"-."):
        raise ValueError
    for c in text:
        if c not in (b"-.0123456789" if of_value else b"0123456789"):
            raise ValueError
    value = float(text) if of_value else int(text)
    if value - value != 0 or name in _FLAGS and value > 1:
        raise ValueError  # an infinite one, or no flag
    return value


def write_attributes(session, message, definition):
    """Write-Attributes (Core 1.1.1 6.3.4): all of the query, or nothing."""
    path = message.path
    old = attached_to(session, path)
    new = Attributes()
    new.path = path[:]
    if old:
        for name in NAMES:
            value = getattr(old, name)
            if value is not None:
                setattr(new, name, value)
    new.parse(message.query, session.tree.minor, path[2], definition)
    new.check()
    if not old and len(session.attributes) >= _MOST:
        raise CoapError(INTERNAL_SERVER_ERROR)
    if old:
        session.attributes.remove(old)
    if not new.is_empty():
        session.attributes.append(new)


def attached_to(session, path):
    """What the session's server attached to exactly this path, or None."""
    for attributes in session.attributes:
        if attributes.path == path:
            return attributes
    return None


def attribute_at(session, path, name, depth=-1):
    """The attribute that holds at a path: that of the nearest level with more than `depth` ids, or None."""
    nearest = None
    for attributes in session.attributes:
        value = getattr(attributes, name)
        if value is None:
            continue
        level = 0
        while level < _PATH_LENGTH and attributes.path[level] == path[level] >= 0:
            level += 1
        if level > depth and (level == _PATH_LENGTH or attributes.path[level] < 0):
            depth = level
            nearest = value
    return nearest


def attributes_at(session, path):
    """All that holds at a path, as Attributes of their own."""
    found = Attributes()
    for name in NAMES:
        value = attribute_at(session, path, name)
        if value is not None:
            setattr(found, name, value)
    return found


def check_readable(tree, oid, iid, rid, riid, definition):
    """Refuse to read what is not readable by its definition (4.05), or not there (4.04)."""
    if not definition & READABLE:
        raise CoapError(METHOD_NOT_ALLOWED)
    if iid >= 0 and iid not in tree.objects[oid]:
        raise CoapError(NOT_FOUND)
    if rid >= 0:
        value = tree.read(oid, iid, rid)
        if value is None or (riid >= 0 and (not isinstance(value, dict) or riid not in value)):
            raise CoapError(NOT_FOUND)
