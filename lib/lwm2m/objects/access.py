# Object 2, Access Control (Core 1.1.1 8): which server may do what
# SPDX-License-Identifier: MIT
from ..coap.numbers import UNAUTHORIZED, CoapError
from ..ids import ACCESS_CONTROL, ACL, ACL_INSTANCE, ACL_OBJECT, ACL_OWNER, ANY_ID, SERVER
from ..model.tree import MAY_READ, MAY_WRITE, ON_CHANGE

_EVERYTHING = const(31)  # all rights of an ACL: see tree.py
_OTHERS = const(0)  # the short id that stands for all servers without an entry of their own


class Access:
    """Takes effect with the second server account and the first instance of object 2, until there is one account
    again: that the last instance goes opens nothing (Core 1.1.1 8.2)."""

    engaged = False

    def __init__(self, client):
        self.tree = client.tree
        for oid in (SERVER, ACCESS_CONTROL):
            self.tree.add_hook(ON_CHANGE, oid, -1, -1, lambda oid, iid, rid: self.is_engaged())

    def is_engaged(self):
        """Does it take effect? To be asked whenever an account or an instance of object 2 comes or goes."""
        if len(self.tree.objects[SERVER]) < 2:
            self.engaged = False
        elif self.tree.objects[ACCESS_CONTROL]:
            self.engaged = True
        return self.engaged

    def find(self, oid, iid):
        """The id of the instance of object 2 about /oid/iid, or the first that is free."""
        instances = self.tree.objects[ACCESS_CONTROL]
        for about, values in instances.items():
            if values.get(ACL_OBJECT) == oid and values.get(ACL_INSTANCE) == iid:
                return about
        free = 0
        while free in instances:
            free += 1
        return free

    def rights(self, ssid, oid, iid):
        """The rights of a server to an instance, or (iid -1) to make one."""
        tree = self.tree
        if not self.is_engaged():
            return _EVERYTHING
        if oid == ACCESS_CONTROL:
            # every server may look; the owner alone may write, and nobody make or delete
            owner = tree.get(oid, iid, ACL_OWNER)
            return MAY_READ | MAY_WRITE if owner == ssid else MAY_READ
        about = self.find(oid, iid if iid >= 0 else ANY_ID)
        entries = tree.get(ACCESS_CONTROL, about, ACL) or {}
        if ssid in entries:
            return entries[ssid]
        if tree.get(ACCESS_CONTROL, about, ACL_OWNER) == ssid:
            return _EVERYTHING
        return entries.get(_OTHERS, 0)

    def readable(self, ssid, oid, ids):
        """Of some instances those that a server may read."""
        return [iid for iid in ids if self.rights(ssid, oid, iid) & MAY_READ]

    def allow(self, session, oid, iid, operation):
        """Refuse an operation, one of the MAY_ in tree.py, of a session's server on /oid/iid. A read of an object
        needs one instance that may be read, if it has any."""
        if operation == MAY_READ and iid < 0:
            ids = self.tree.objects[oid]
            allowed = not ids or self.readable(session.ssid, oid, ids)
        else:
            allowed = self.rights(session.ssid, oid, iid) & operation
        if not allowed:
            raise CoapError(UNAUTHORIZED)

    def created(self, session, oid, iid):
        """A session's server made an instance: it is the owner."""
        if self.rights(session.ssid, oid, iid) < _EVERYTHING:
            self.give(oid, iid, session.ssid)

    def deleted(self, oid, iid):
        """A server deleted an instance: what object 2 has about it goes, too."""
        about = self.find(oid, iid)
        if about in self.tree.objects[ACCESS_CONTROL]:
            self.tree.delete(ACCESS_CONTROL, about)

    def give(self, oid, iid, owner=ANY_ID, acl=None):
        """Make or replace the instance of object 2 about /oid/iid (iid 65535: about making instances of it);
        `acl` is {short server id: rights}, with 0 for all others; `owner` 65535 is the bootstrap server."""
        values = {ACL_OBJECT: oid, ACL_INSTANCE: iid, ACL: acl or {}, ACL_OWNER: owner}
        self.tree.create(ACCESS_CONTROL, self.find(oid, iid), values)


def setup(client):
    """Make object 2, without instances; returns what is client.access then, for give(). A server that makes
    an instance owns it; one that deletes it deletes its instance of object 2 too."""
    client.tree.show(ACCESS_CONTROL)
    access = Access(client)
    client.access = client.tree.guard = access
    return access
