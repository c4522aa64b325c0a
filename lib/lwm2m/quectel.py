# QuecPython's `lwm2m` object: a translation of its calls and of the client's events, and nothing else
# SPDX-License-Identifier: MIT
from .client import Client
from .session.connect import parse_uri
from .port import binascii, module, sys

# states, as in session.py
_ON = const(2)
_LEAVING = const(3)
_WAITING = const(5)

_FAILURES = const(0xA0152)  # a bit for each event: 1, 4, 6, 8, 17 and 19


def integer(v, lo, hi):
    """ValueError where `v` is no integer from `lo` to `hi`."""
    if type(v) is not int or not lo <= v <= hi:
        raise ValueError


class Lwm2m:
    """The object of QuecPython's module `lwm2m`: same calls, constants, return values and URC strings.

    Returns are 0, -1 (failure, wrong arguments) or -2 (not supported by this image)."""

    Security = 1
    Server = 2
    Epnamemode = 4
    Urc = 5
    Fota = 7
    Reset = 9
    Epname = 15

    client = call = None
    running = again = False

    def __init__(self):
        c = self.client
        if c:
            # no de-registration is sent, and none told
            c.listeners = c.listeners[1:]
            c.stop(True)
        self.client = c = Client()
        c.listeners.append(self.heard)
        c.written = self.written
        del c.tree.objects[0][0]
        try:
            from .model.tables.standard import TABLE

            c.objects(TABLE)
            c.on_create("/11", self.created)
        except ImportError:
            pass
        self.updates = []  # SSIDs of those under way
        self.fresh = 0  # not 0: there is an account that register() has not seen yet
        self.urc = True
        self.mode = 3
        self.name = None
        self.fota = (1, 1)

    def init(self):
        """0: the object is ready as it is made."""
        return 0

    def config(self, kind, values):
        """Set up: see the table of QuecPython's page; a list of one element clears that server."""
        if not isinstance(values, (list, tuple)) or not isinstance(kind, int):
            return -1
        if kind == 9:
            if values:
                return -1
            self.__init__()
            return 0
        with self.client:
            try:
                if kind == 1:
                    return self.security(*values)
                if kind == 2:
                    return self.server(*values)
                if kind == 7:
                    download, update = values
                    integer(download, 0, 1)
                    integer(update, 0, 1)
                    self.fota = values
                    return 0
                if kind != 4 and kind != 5 and kind != 15:
                    return -2
                (v,) = values
                if kind == 4:
                    integer(v, 0, 255)
                    if v != 1 and v != 3:
                        return -2
                    self.mode = v
                elif kind == 5:
                    integer(v, 0, 1)
                    self.urc = v
                elif isinstance(v, str) and 0 < len(v.encode()) <= 64:
                    self.name = v
                else:
                    return -1
                return 0
            except (AttributeError, TypeError, ValueError):
                return -1

    def security(self, sid, *v):
        integer(sid, 0, 3)
        c = self.client
        insts = c.tree.objects[0]
        d = None
        if v:
            if len(v) != 4 and len(v) != 6:
                return -1
            ssid, uri, bootstrap, mode = v[:4]
            integer(ssid, 1, 65534)
            integer(bootstrap, sid == 0, sid == 0)
            integer(mode, 0, 4)
            secure = parse_uri(uri)[0]
            d = {0: uri.encode(), 1: sid == 0, 2: mode, 10: ssid}
            integer(len(d[0]), 1, 256)
            if secure and mode == 3:
                return -1
            for k in insts:
                if k != sid and insts[k].get(10) == ssid:
                    return -1
            if mode == 0:
                identity, key = v[4:]
                d[3] = identity.encode()
                d[5] = binascii.unhexlify(key)
                integer(len(d[3]), 1, 64)
                integer(len(key), 2, 128)
                # newer MicroPython passes over spaces between the digits
                if not type(identity) is type(key) is str or len(key) != 2 * len(d[5]):
                    return -1
                try:
                    from .dtls.record import Connection
                except ImportError:
                    return -2
            elif mode != 3:
                return -2
            elif v[4:] not in ((), ("", "")):
                return -1
        old = c.sessions
        c.sessions = [s for s in old if s.security_iid != sid]
        for s in old:
            if s.security_iid != sid:
                continue
            if c._depth > 1:
                # asked for by the callback: first what that belongs to is brought to its end
                c.call_soon(type(s).close, s)
            else:
                s.close()
        ssid, i = self.account(sid)
        insts.pop(sid, None)
        if d:
            insts[sid] = d
            self.fresh |= sid
        elif i in c.tree.objects[1]:
            c.tree.objects[1][i][0] = 0
        return 0

    def account(self, sid):
        """The SSID of account `sid` and its instance of object 1: that which carries the SSID, else the first
        from `sid` on that carries no other account's."""
        t = self.client.tree.objects
        ssid = t[0].get(sid, {}).get(10)
        every = [d.get(10) for d in t[0].values()]
        servers = t[1]
        for i in servers:
            if ssid and servers[i].get(0) == ssid:
                return ssid, i
        while sid in servers and (servers[sid].get(0) or -1) in every:
            sid += 1
        return ssid, sid

    def server(self, sid, *v):
        integer(sid, 1, 3)
        t = self.client.tree
        ssid, i = self.account(sid)
        there = i in t.objects[1]
        if not v:
            if there:
                t.delete(1, i)
            return 0
        lt, pmin, pmax, disable, storing, binding = v
        for x in v[:4]:
            integer(x, 1, 86400)
        integer(storing, 0, 1)
        if binding == "S" or binding == "SQ":
            return -2
        # SMS is stored, and served over UDP
        if binding not in "U UQ US UQS".split():
            return -1
        if not there:
            t.create(1, i)
        d = {
            0: ssid or t.get(1, i, 0) or 0,
            1: lt,
            2: pmin,
            3: pmax,
            5: disable,
            6: storing > 0,
            7: binding.encode(),
        }
        for r in d:
            t.store(1, i, r, -1, d[r])
        return 0

    def register(self):
        """Begin to register (or bootstrap) in the background; -1 where no server is configured. Where there are no
        threads, poll() or run() has to be called."""
        c = self.client
        with c:
            start = True
            for s in c.sessions:
                x = s.state
                if x == _LEAVING:
                    # once it has left
                    self.again = True
                    start = False
                # to listen to a bootstrap server is nothing that is under way
                elif (x == _ON or x > _WAITING) and not (s.bootstrap and c._listening):
                    start = self.fresh
            try:
                if start:
                    self.begin(c)
                if not self.running:
                    from .port import start_thread

                    start_thread(self.work)
                    self.running = True
            except ImportError:
                pass  # no threads: poll() or run() does it
            except (ValueError, OSError):
                return -1
        return 0

    def begin(self, c):
        self.updates = []
        c.endpoint = None
        if self.mode == 1:
            c.endpoint = self.name
            if not self.name:
                raise ValueError
        t = c.tree
        n = 0
        for sid, d in t.objects[0].items():
            if d.get(10) and not d.get(1):
                n += 1
                ssid, i = self.account(sid)
                t.objects[1].setdefault(
                    i, {1: 86400, 2: 86400, 3: 86400, 5: 86400, 6: True, 7: b"U"}
                )[0] = ssid
        try:
            from .port import pdp

            up, apn = pdp()
            self.report(0, 1 - up, "pdp active", "successfully" if up else "failed", apn)
        except ImportError:
            pass  # no packet data protocol on this platform
        if n > 1:
            c.enable_access_control()
        c.start()
        self.fresh = 0

    def poll(self):
        """Where there are no threads: do what is due; the ms until more is, or -1. Call it again and again."""
        return self.client.poll()

    def run(self):
        """Where there are no threads: go on until there is nothing more to do, as after unregister()."""
        if not self.running:
            self.work()

    def work(self):
        # the thread of register(), or run()
        try:
            while True:
                c = self.client
                try:
                    c.run()
                except Exception as e:
                    sys.print_exception(e)
                    module("time").sleep(1)
                with c:
                    if c is self.client and not (c.active() or c._calls):
                        # while register() has to wait: it sees either this, or a thread that goes on
                        self.running = False
                        return
        except BaseException:
            # SystemExit or KeyboardInterrupt ends the thread; register() begins another
            self.running = False
            raise

    def unregister(self):
        """De-register; -1 where there is nothing to leave."""
        if not self.client.active():
            return -1
        self.again = False
        self.client.stop()
        return 0

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        return self.client.stat()

    def update(self, ssid):
        """Send an update; -1 where that server is not registered."""
        return 0 if isinstance(ssid, int) and ssid > 0 and self.client.update(ssid) else -1

    def register_call(self, usrfun):
        """usrfun([event, code, text]) hears of events; None removes it."""
        if usrfun is not None and not callable(usrfun):
            return -1
        self.call = usrfun
        return 0

    def report(self, n, code, *fields):
        if self.urc and self.call:
            s = ""
            for x in fields:
                s += (",%d" if isinstance(x, int) else ',"%s"') % x
            try:
                self.call([n, code, "+QLWURC: " + s[1:]])
            except BaseException as e:
                sys.print_exception(e)

    def heard(self, n, ssid):
        if n == 14:
            self.updates.append(ssid)
        elif ssid in self.updates:
            self.updates.remove(ssid)
            if n == 16 or n == 21:
                # refused: the client registers again
                self.report(6, 1, "update", "failed", ssid)
        name = {
            1: "bootstrap",
            3: "bootstrap",
            5: "ready",
            7: "update",
            17: "initial",
            19: "dtls",
        }.get(n | 1)
        if n == 6 and self.stat() != 2:
            name = "ready"
        code = _FAILURES >> n & 1
        if name and n != 2:
            self.report(n, code, name, "failed" if code else "successfully", ssid)
        elif n == 8 or n == 9 or n == 12:
            self.report(n, code, "deregister", ssid, code)
            if self.again and self.stat() != _LEAVING:
                self.again = False
                self.client.call_soon(self.begin, self.client)
        elif n > 19:
            self.report(n, 0, "registering" if n == 21 else "bootstraping")

    def created(self, path, v):
        i = int(path[4:])
        for x in sorted(self.client.tree.objects[11][i].items()):
            self.written(11, i, *x)

    def written(self, o, i, r, v):
        name = {
            0x10001: "lifetime_changed",
            0x3000D: "current_time_changed",
            0x50001: "fota/pkgurl",
            0xB0001: "apn_changed",
            0xB0005: "user_name_changed",
            0xB0006: "secret_changed",
            0xB0004: "authentication_type_changed",
        }.get(o << 16 | r)
        if name:
            self.report(o, 0, name, v if isinstance(v, int) else str(v, "utf8"))


_the = []


def lwm2m():
    """The one object there is."""
    if not _the:
        _the.append(Lwm2m())
    return _the[0]
