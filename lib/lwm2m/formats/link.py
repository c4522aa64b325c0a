# CoRE links (RFC 6690; Core 1.1.1 6.2.1, 6.3.2): 40
# SPDX-License-Identifier: MIT


def put_link(w, root, path, more=b""):
    """Put a link, by commas; `root` is the alternate path (b"" is none), `more` the attributes."""
    if w.written:
        w.byte(44)
    w.put(b"<" + root + path.encode() + b">" + more)


def version_attribute(t, o):
    """The attribute with the version of object `o` that belongs to the registered one."""
    t.find(o)
    v = t.table[t.offset - 4 + t.minor]
    return b"" if v == 0x10 else b";ver=%d.%d" % (v >> 4, v & 15)
