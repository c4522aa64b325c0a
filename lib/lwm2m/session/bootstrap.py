# Bootstrap (Core 1.1.1 6.1): asked for by the client, or begun by the server
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    CHANGED,
    CONTENT,
    DELETE,
    DELETED,
    GET,
    LINK_FORMAT,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    POST,
    PUT,
    CoapError,
)
from ..events import (
    BOOTSTRAP,
    BOOTSTRAP_REG_COMPLETE,
    BOOTSTRAP_REG_FAILURE,
    BOOTSTRAP_TRANSFER_COMPLETE,
    CONNECT_FAILURE,
)
from ..formats.link import put_link, version_attribute
from ..ids import (
    ABSENT,
    ACCESS_CONTROL,
    BOOTSTRAP_TIMEOUT,
    DEVICE,
    HIGHEST_ID,
    IDENTITY,
    IS_BOOTSTRAP,
    MODE_NOSEC,
    MODE_PSK,
    SECRET_KEY,
    SECURITY,
    SECURITY_MODE,
    SECURITY_SSID,
    SERVER,
    SERVER_URI,
    SHORT_SERVER_ID,
)
from ..management.operations import decode_payload
from ..model.tree import MULTIPLE
from ..model.values import format_path
from .connect import parse_uri
from .session import BOOTSTRAPPING, FAILED, IDLE, LONGEST_SLEEP, REQUESTING, Session


def usable(account):
    """Does an instance of object 0, {resource: value}, have an address and the keys that its mode needs?"""
    mode = account.get(SECURITY_MODE, MODE_NOSEC)
    if mode == MODE_PSK and not (account.get(IDENTITY) and account.get(SECRET_KEY)):
        return False
    try:
        # coaps goes with a mode that has keys, coap with none
        secure = parse_uri(str(account.get(SERVER_URI) or b"", "utf8"), mode != MODE_NOSEC)[0]
        return secure == (mode != MODE_NOSEC)
    except ValueError:
        return False


class Bootstrap(Session):
    """A session with the bootstrap server: all of its writes hold when it finishes, or none."""

    bootstrap = True
    # Objects as they were, {object: {instance: {resource: value}}}; None: the server writes nothing now.
    saved = None
    gives_back = True  # known servers have the client again as soon as an attempt fails
    engaged = False  # was access control in effect before the server wrote?
    end = None  # seconds, when the server's account ends

    def open(self):
        client = self.client
        if self.state == FAILED and client._accounts():
            # no bootstrap server was to be had: perhaps the servers that are known take the client by now
            client.call_soon(client._register, None)
        else:
            Session.open(self)

    def request(self):
        """Ask for a bootstrap, or stay reachable for a server that may begin one by itself."""
        if self.listening:
            self.state = BOOTSTRAPPING
            return
        self.state = REQUESTING
        self.emit(BOOTSTRAP)
        if not self.coap:
            return  # stopped by the application
        query = [b"ep=" + self.client.endpoint.encode()]
        self.coap.request(self.client.now, POST, (b"bs",), query, -1, None, self.answered)

    def answered(self, code, message):
        """The bootstrap request is answered, or lost (`code` below 0)."""
        if code == CHANGED:
            self.emit(BOOTSTRAP_REG_COMPLETE)
            self.begin()
        elif self.saved is None:
            if code < 0:
                self.fail(BOOTSTRAP_REG_FAILURE)
            else:
                self.refused(BOOTSTRAP_REG_FAILURE)

    def begin(self):
        """The server's writes follow, or go on."""
        client = self.client
        if self.saved is None:
            self.saved = {}
            self.engaged = client.access and client.access.engaged
            if self.listening:
                self.emit(BOOTSTRAP)
        self.state = BOOTSTRAPPING
        self.due = client.now_s + client.bootstrap_timeout
        if self.listening:
            self.listening = False
            client._bootstrap_triggered = True

    def restore(self):
        """All back as it was before the server wrote."""
        if self.saved:
            self.tree.objects.update(self.saved)
            self.tree.snapshots.clear()
            if self.client.access:
                self.client.access.engaged = self.engaged
        self.saved = None

    def close(self):
        self.restore()
        Session.close(self)

    def refused(self, event):
        """All back as it was; on with the servers of before, and the bootstrap server may begin again."""
        client = self.client
        self.restore()
        if self.gives_back and client._accounts():
            self.state = BOOTSTRAPPING
            client.call_soon(client._register, self)
            self.emit(event)
        else:
            self.fail(event)

    def fail(self, event):
        client = self.client
        self.restore()
        if self.state != IDLE and self.gives_back and client._accounts():
            self.close()
            client.call_soon(client._register, None)
            self.emit(event)
        else:
            Session.fail(self, event)

    def no_network(self):
        if self.gives_back and self.client._accounts():
            self.emit(CONNECT_FAILURE)
            self.fail(BOOTSTRAP_REG_FAILURE)
        else:
            Session.no_network(self)

    def tend(self, now):
        """Do what is due while the server may write; the ms until something will be, or -1."""
        client = self.client
        if self.state != BOOTSTRAPPING:
            return -1
        if self.saved is not None:
            if client.now_s < self.due:
                return (self.due - client.now_s) * 1000
            self.refused(BOOTSTRAP_REG_FAILURE)
            return 0
        if not self.end:
            return -1
        if client.now_s < self.end:
            return min(self.end - client.now_s, LONGEST_SLEEP) * 1000
        # the account of the bootstrap server ends, as 0/x/12 says (Core 1.1.1 E.1)
        self.tree.delete(SECURITY, self.security_iid)
        client.call_soon(client.sessions.remove, self)
        self.close()
        return 0

    # requests of the server

    def answer_request(self, message, writer, now):
        tree = self.tree
        oid, iid, rid, riid = self.path = message.path
        code = message.code
        if code == POST and message.name == b"bs":
            return self.finish()
        if oid == ACCESS_CONTROL:
            self.client._enable_access_control()
        if message.name is not None or (oid >= 0 and oid not in tree.objects):
            raise CoapError(NOT_FOUND)
        if code == PUT and oid >= 0:
            self.begin()
            self.write(message)
            return CHANGED
        if code == GET and message.accept == LINK_FORMAT:
            self.coap.put_body(message.block2, message.block1, -1, LINK_FORMAT, self.discover)
            return CONTENT
        if rid >= 0 or code != DELETE and (code != GET or oid != SERVER and oid != ACCESS_CONTROL):
            raise CoapError(METHOD_NOT_ALLOWED)
        if iid >= 0 and iid not in tree.objects[oid]:
            raise CoapError(NOT_FOUND)
        if code == DELETE:
            self.begin()
            self.delete(oid, iid)
            return DELETED
        content_format = message.accept
        if content_format < 0:
            content_format = self.client.default_format
        return self.put_content(message, message.path, -1, content_format)

    def keep_object(self, oid):
        """Remember how an object was, before its first change."""
        if oid not in self.saved:
            self.saved[oid] = saved = {}
            for iid, values in self.tree.objects[oid].items():
                saved[iid] = dict(values)

    def delete(self, oid, iid):
        """Bootstrap-Delete of an instance, an object (`iid` -1) or all (`oid` -1): but the server's own account
        and the device object stay (Core 1.1.1 6.1.7.6)."""
        tree = self.tree
        if oid == DEVICE and iid >= 0 or oid == SECURITY and iid == self.security_iid:
            raise ValueError
        for each_oid in (oid,) if oid >= 0 else list(tree.objects):
            if each_oid == DEVICE:
                continue
            for each_iid in (iid,) if iid >= 0 else list(tree.objects[each_oid]):
                if each_oid != SECURITY or each_iid != self.security_iid:
                    self.keep_object(each_oid)
                    tree.delete(each_oid, each_iid)

    def write(self, message):
        """Bootstrap-Write (Core 1.1.1 6.1.7.5); resources that are not known are left out."""
        tree = self.tree
        oid, iid, rid, riid = message.path
        iids = [iid] if iid >= 0 else []
        values = []
        stays_bootstrap = oid != SECURITY or rid >= 0
        for value in decode_payload(self, message, oid, iid, rid, riid, True):
            each_iid, each_rid, new = value
            definition = tree.definition(oid, each_rid)
            if not 0 <= each_iid <= HIGHEST_ID or (
                definition and isinstance(new, dict) != bool(definition & MULTIPLE)
            ):
                raise ValueError
            if each_iid not in iids:
                iids.append(each_iid)
            if definition:
                values.append(value)
            if each_iid == self.security_iid and each_rid == IS_BOOTSTRAP and new:
                stays_bootstrap = True
        # the server's own account may be replaced by that of a bootstrap server only
        if not stays_bootstrap and self.security_iid in iids:
            raise ValueError
        self.keep_object(oid)
        for each_iid in iids:
            if each_iid not in tree.objects[oid] or (rid < 0 and oid <= SERVER):
                tree.create(oid, each_iid)
        for each_iid, each_rid, new in values:
            tree.store(oid, each_iid, each_rid, ABSENT, new)

    def consistent(self):
        """Is there a server, and has each server one account with what its mode needs?"""
        tree = self.tree
        ssids = [tree.get(SERVER, iid, SHORT_SERVER_ID) for _, iid, _ in self.client._accounts()]
        if not len(ssids) == len(set(ssids)) == len(tree.objects[SERVER]) > 0:
            return False
        for account in tree.objects[SECURITY].values():
            # an empty one is the application's, that set() has put nothing into
            if account and not usable(account):
                return False
        # one bootstrap server alone (Core 1.1.1 6.1.2)
        own = tree.get(SECURITY, self.security_iid, SERVER_URI)
        others = self.other_accounts()
        return not others or (
            len(others) == 1 and tree.get(SECURITY, others[0], SERVER_URI) == own
        )

    def other_accounts(self):
        """The security instances of bootstrap servers beside that of this session."""
        return [
            iid
            for iid, account in self.tree.objects[SECURITY].items()
            if account.get(IS_BOOTSTRAP) and iid != self.security_iid
        ]

    def finish(self):
        """Bootstrap-Finish: 4.06 where what the server wrote can't be used (Core 1.1.1 6.1.7.2)."""
        self.begin()
        client = self.client
        tree = self.tree
        self.keep_object(SERVER)
        for iid in list(tree.objects[SERVER]):
            # what waited for the server's number to come
            if not tree.get(SERVER, iid, SHORT_SERVER_ID):
                tree.delete(SERVER, iid)
        if not self.consistent():
            client.call_soon(self.refused, BOOTSTRAP_REG_FAILURE)
            raise CoapError(NOT_ACCEPTABLE)
        for iid in self.other_accounts():
            # it may not delete its account, but write it to another instance: that is the one from now on
            tree.delete(SECURITY, self.security_iid)
            self.security_iid = iid
        self.emit(BOOTSTRAP_TRANSFER_COMPLETE)
        self.saved = None
        self.attempts = self.sequences = 0
        client.call_soon(client._register, self)
        seconds = tree.get(SECURITY, self.security_iid, BOOTSTRAP_TIMEOUT)
        self.end = seconds and client.now_s + seconds
        return CHANGED

    def discover(self, writer):
        """Bootstrap-Discover: instances, with `ssid` and `uri` (Core 1.1.1 6.1.7.3)."""
        tree = self.tree
        writer.put(b"</>;lwm2m=1.%d" % tree.minor if tree.minor else b'lwm2m="1.0"')
        for oid in sorted(tree.objects):
            if self.path[0] in (ABSENT, oid):
                put_link(writer, b"", format_path(oid), version_attribute(tree, oid))
                for iid in tree.instances(oid):
                    put_link(writer, b"", format_path(oid, iid), self.server_attributes(oid, iid))

    def server_attributes(self, oid, iid):
        """What Bootstrap-Discover tells of an instance of objects 0 and 1."""
        tree = self.tree
        if oid == SECURITY and not tree.get(SECURITY, iid, IS_BOOTSTRAP):
            ssid = tree.get(SECURITY, iid, SECURITY_SSID)
        elif oid == SERVER:
            ssid = tree.get(SERVER, iid, SHORT_SERVER_ID)
        else:
            return b""
        if not ssid:
            return b""
        if oid == SECURITY and tree.minor:
            return b';ssid=%d;uri="%s"' % (ssid, tree.get(SECURITY, iid, SERVER_URI))
        return b";ssid=%d" % ssid
