# CoRE links (RFC 6690; Core 1.1.1 6.2.1, 6.3.2): 40
# SPDX-License-Identifier: MIT

_VERSION_1_0 = const(0x10)  # what an object has that names no version


def put_link(writer, root, path, more=b""):
    """Put a link, by commas; `root` is the alternate path (b"" is none), `more` the attributes."""
    if writer.written:
        writer.put(b",")
    writer.put(b"<" + root + path.encode() + b">" + more)


def version_attribute(tree, oid):
    """The attribute with the version of an object that belongs to the registered one."""
    version = tree.version(oid)
    return b"" if version == _VERSION_1_0 else b";ver=%d.%d" % (version >> 4, version & 15)
