# Object 2, Access Control (Core 1.1.1 8): which server may do what
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError

# the rights in an ACL: 1 read, 2 write, 4 execute, 8 delete, 16 create
_READ = const(1)
_DELETE = const(8)
_ALL = const(31)

_ANY = const(65535)  # as instance: the object itself; as owner: the bootstrap server


class Access:
    """Takes effect with the second server account and the first instance of object 2."""

    gone = False

    def __init__(self, client):
        self.tree = t = client.tree
        every = t.instances

        def instances(o):
            # a read of an object leaves out what its server may not read
            s = t.reader
            return [i for i in every(o) if s is None or self.rights(s, o, i) & _READ]

        def delete(o, i):
            gone(o, i)
            k = self.find(o, i)
            if self.gone == (o, i) and k in t.objects[2]:
                gone(2, k)

        gone = t.delete
        t.instances = instances
        t.delete = delete

    def find(self, o, i):
        """The id of the instance of object 2 about /o/i, or the first that is free."""
        d = self.tree.objects[2]
        for k in d:
            if d[k].get(0) == o and d[k].get(1) == i:
                return k
        k = 0
        while k in d:
            k += 1
        return k

    def rights(self, ssid, o, i):
        """The rights of a server to an instance, or (-1) to make one."""
        t = self.tree
        if len(t.objects[1]) < 2 or not t.objects[2]:
            return _ALL
        if o == 2:
            # every server may look; the owner alone may write, and nobody make or delete
            return 3 if t.get(2, i, 3) == ssid else _READ
        k = self.find(o, i & _ANY)
        acl = t.get(2, k, 2) or {}
        if ssid not in acl:
            if t.get(2, k, 3) == ssid:
                return _ALL
            ssid = 0
        return acl.get(ssid, 0)

    def allow(self, s, o, i, op):
        """Refuse operation `op` of session `s` on /o/i. A read of /o needs one instance that may be read."""
        t = self.tree
        # access control goes with what a server deletes; a bootstrap takes care of its own
        self.gone = op == _DELETE and (o, i)
        if op > _READ or i >= 0:
            d = self.rights(s.ssid, o, i) & op
        else:
            t.reader = s.ssid
            d = not t.objects[o] or t.instances(o)
            t.reader = None
        if not d:
            raise CoapError(0x81)

    def created(self, s, o, i):
        """A server made an instance: it is the owner."""
        if self.rights(s.ssid, o, i) < _ALL:
            self.give(o, i, s.ssid)

    def give(self, o, i, owner=_ANY, acl=None):
        """Make or replace the instance of object 2 about /o/i (i 65535: about making instances of it);
        `acl` is {short server id: rights}, with 0 for all others."""
        self.tree.create(2, self.find(o, i), {0: o, 1: i, 2: acl or {}, 3: owner})


def setup(client):
    """Make object 2, without instances; returns what is client.access then, for give(). A server that makes
    an instance owns it; one that deletes it deletes its instance of object 2 too."""
    client.tree.objects.setdefault(2, {})
    client.access = x = Access(client)
    return x
