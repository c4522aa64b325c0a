# LwM2M CBOR (Core 1.2 7.4.4): maps in maps, by the ids of a path: 11544
# SPDX-License-Identifier: MIT
from ..ids import ABSENT, ANY_ID
from ..model.values import TIME
from .cbor import (
    ARRAY,
    BREAK,
    EPOCH,
    MAP,
    MAP_WITHOUT_END,
    UNSIGNED_INTEGER,
    Reader,
    put_head,
    put_value,
    typed,
)
from .senml import inside, walk

_MOST = const(256)  # values in a payload
_RESOURCE_DEPTH = const(3)  # ids in the path of a resource
_DEPTH = const(4)  # and of a resource instance


def encode_all(writer, tree, paths):
    opened = []  # the ids whose maps are open

    def close(depth):
        while len(opened) > depth:
            opened.pop()
            writer.byte(BREAK)

    def put(oid, iid, rid, riid, kind, value, time):
        path = (oid, iid, rid, riid) if riid >= 0 else (oid, iid, rid)
        # the maps that this value is not in are closed
        depth = 0
        while depth < len(opened) and opened[depth] == path[depth]:
            depth += 1
        close(depth)
        for number in path[depth:-1]:
            opened.append(number)
            put_head(writer, UNSIGNED_INTEGER, number)
            writer.byte(MAP_WITHOUT_END)
        put_head(writer, UNSIGNED_INTEGER, path[-1])
        if kind == TIME:
            writer.byte(EPOCH)
        put_value(writer, kind, value)

    writer.byte(MAP_WITHOUT_END)
    walk(put, tree, paths)
    close(0)
    writer.byte(BREAK)


def encode(writer, tree, oid, iid, rid, riid):
    encode_all(writer, tree, ((oid, iid, rid, riid),))


def take_key(items, path):
    """Take a key, an id or an array of them: the path that it goes on to from the one around it."""
    path = path[:]
    major = items.head()
    if major == ARRAY:
        ids = items.number
        while items.more(ids):
            ids -= 1
            path.append(items.item(1))
    elif major == UNSIGNED_INTEGER:
        path.append(items.number)
    else:
        raise ValueError
    if len(path) > _DEPTH:
        raise ValueError
    for number in path:
        if not 0 <= number < ANY_ID:
            raise ValueError
    return path


def decode_all(data, start, end, tree, emit, root=()):
    items = Reader(memoryview(data)[start:end])
    root = list(root)
    count = 0

    def take_map(around):
        if items.head() != MAP:
            raise ValueError
        entries = items.number
        while items.more(entries):
            entries -= 1
            path = take_key(items, around)
            if items.peek() == MAP and len(path) > len(around):
                take_map(path)
            else:
                take_value(path)

    def take_value(path):
        nonlocal count
        if len(path) < _RESOURCE_DEPTH or path[: len(root)] != root:
            # a Write or Create may leave out the ids of its own path
            path = root + path
        oid, iid, rid, riid = path + [ABSENT] * (_DEPTH - len(path))
        value = items.item()
        count += 1
        if count > _MOST or (value is not None and rid < 0):
            raise ValueError
        if value is not None:
            value = typed(tree.definition(oid, rid), value)
        emit(oid, iid, rid, riid, value)

    take_map([])
    items.finish()


def decode(data, start, end, tree, oid, iid, rid, riid, emit):
    path = (oid, iid, rid, riid)
    root = [number for number in path if number >= 0]
    decode_all(data, start, end, tree, inside(tree, path, emit), root)
