# SenML (RFC 8428; Core 1.1.1 7.4.4, 7.4.5): records to and from values, for the JSON and the CBOR form and their like
# SPDX-License-Identifier: MIT
from ..ids import ABSENT, ANY_ID, SECURITY
from ..model.tree import READABLE
from ..model.values import OPAQUE, TYPE_MASK, parse_path
from .cbor import typed

_MOST = const(256)  # records in a payload
_LENGTH = const(40)  # of a path
_VERSION = const(10)
_DEPTH = const(4)  # ids in the path of a resource instance


def walk(put, tree, paths, series=None):
    """Call put(oid, iid, rid, riid, type, value, time) for each value under `paths`, in order; riid is -1 where the
    resource has no instances, time 0 where it is now. `series` is the time series whose history is wanted. What is
    not there, not readable, or in object 0 is left out."""

    def put_resource(_, oid, iid, rid, kind, value):
        history = series and series.entries(oid, iid, rid)
        if history:
            for time, past in history:
                put(oid, iid, rid, ABSENT, kind, past, time)
        elif isinstance(value, dict):
            riid = ABSENT
            for _ in value:
                riid = next_above(value, riid)
                put(oid, iid, rid, riid, kind, value[riid], 0)
        else:
            put(oid, iid, rid, ABSENT, kind, value, 0)

    for root, first, rid, riid in paths:
        for oid in sorted(tree.objects) if root < 0 else (root,):
            if oid == SECURITY or oid not in tree.objects:
                continue
            for iid in tree.instances(oid) if first < 0 else (first,):
                if iid not in tree.objects[oid]:
                    continue
                if rid < 0:
                    tree.each_resource(oid, iid, put_resource, None)
                else:
                    value, kind = part(tree, oid, iid, rid, riid)
                    if value is not None:
                        put_resource(None, oid, iid, rid, kind, value)


def next_above(ids, last):
    """The lowest of some ids that is above the last one: their order, without a list of them."""
    lowest = ANY_ID
    for number in ids:
        if last < number < lowest:
            lowest = number
    return lowest


def part(tree, oid, iid, rid, riid):
    """What there is to read of a resource, or of its instance `riid`: the value, None where there is none, and its
    type."""
    definition = tree.definition(oid, rid)
    value = None
    if definition & READABLE and tree.in_version(oid, definition):
        value = tree.read(oid, iid, rid)
        if riid >= 0:
            value = {riid: value[riid]} if isinstance(value, dict) and riid in value else None
    return value, definition & TYPE_MASK


def put_digits(writer, number):
    """Put a number that is not negative, as text."""
    if number > 9:
        put_digits(writer, number // 10)
    writer.byte(0x30 + number % 10)


def reader(labels, tree, emit, opaque=None):
    """A function that takes one record, a dict by labels, and calls emit(oid, iid, rid, riid, value), value being
    None where there is none. `labels` are those of the version, the base name, the base value, the name, a number,
    and other values; opaque(value) undoes base64."""
    version, base_name, base_value, name, number = labels[:5]
    root = str(tree.root_path, "utf8")
    name_before = ""
    value_before = 0
    count = 0

    def value_of(record):
        # the one value in a record
        value = record.get(number)
        if value is not None and value_before:
            value += value_before
        for label in labels[5:]:
            other = record.get(label)
            if other is not None:
                if value is not None:
                    raise ValueError
                value = other
        return value

    def take(record):
        nonlocal name_before, value_before, count
        for label in record:
            # one that must be understood (RFC 8428 4.4)
            if isinstance(label, str) and label[-1:] == "_":
                raise ValueError
        count += 1
        if record.get(version, 0) > _VERSION or count > _MOST:
            raise ValueError
        name_before = record.get(base_name, name_before)
        value_before = record.get(base_value, value_before)
        path = name_before + record.get(name, "")
        if root and path.startswith(root):
            # the alternate path, which names begin with (Transport 1.2 6.4.1)
            path = path[len(root) :] or "/"
        if len(path) > _LENGTH:
            raise ValueError
        oid, iid, rid, riid = parse_path(path)
        value = value_of(record)
        if value is not None:
            if rid < 0:
                raise ValueError
            definition = tree.definition(oid, rid)
            if opaque and definition & TYPE_MASK == OPAQUE:
                value = opaque(value)
            value = typed(definition, value)
        emit(oid, iid, rid, riid, value)

    return take


def inside(tree, path, emit):
    """An emit(oid, iid, rid, riid, value) for a payload that may have values under one path only."""
    depth = _DEPTH - path.count(ABSENT)

    def check(oid, iid, rid, riid, value):
        if (
            rid < 0
            or (oid, iid, rid, riid)[:depth] != path[:depth]
            or (value is None and tree.definition(oid, rid))
        ):
            raise ValueError
        emit(iid, rid, riid, value)

    return check
