# QuecPython's `lwm2m` object: a translation of its calls and of the client's events, and nothing else
# SPDX-License-Identifier: MIT
import sys

try:
    from ubinascii import unhexlify
except ImportError:
    from binascii import unhexlify

from .client import Client, address

# how a binding mode is taken: served, or stored and served over UDP (0), not supported (-2)
_BINDINGS = {"U": 0, "UQ": 0, "S": -2, "SQ": -2, "US": 0, "UQS": 0}


def integer(v, lo, hi):
    return isinstance(v, int) and not isinstance(v, bool) and lo <= v <= hi


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

    def __init__(self):
        self.client = None
        self.call = None
        self.running = False
        self.reset()

    def reset(self):
        if self.client:
            self.client.stop(True)
        self.client = c = Client()
        c.listeners.append(self.heard)
        c.written = self.written
        del c.tree.inst[0][0]
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
        f = {
            1: self.security,
            2: self.server,
            4: self.naming,
            5: self.urcs,
            7: self.firmware,
            9: self.resets,
            15: self.named,
        }.get(kind)
        try:
            with self.client:
                return f(*values) if f else -2
        except (AttributeError, TypeError, ValueError):
            return -1

    def security(self, sid, ssid=None, uri=None, bootstrap=None, mode=None, identity="", key=""):
        if not integer(sid, 0, 3):
            return -1
        insts = self.client.tree.inst[0]
        if ssid is None:
            insts.pop(sid, None)
            return 0
        if (
            not integer(ssid, 1, 65534)
            or bootstrap != (sid == 0)
            or len(uri) > 256
            or not integer(mode, 0, 4)
        ):
            return -1
        secure = address(uri)[0]
        d = {0: uri.encode(), 1: sid == 0, 2: mode, 10: ssid}
        if mode == 0:
            if not 0 < len(identity) <= 64 or not 0 < len(key) <= 128:
                return -1
            d[3] = identity.encode()
            d[5] = unhexlify(key)
            try:
                from .dtls.record import Secure
            except ImportError:
                return -2
        elif mode != 3:
            return -2
        elif secure:
            return -1
        insts[sid] = d
        return 0

    def server(self, sid, *v):
        if not integer(sid, 1, 3):
            return -1
        insts = self.client.tree.inst[1]
        if not v:
            insts.pop(sid, None)
            return 0
        lt, pmin, pmax, disable, storing, binding = v
        for x in v[:4]:
            if not integer(x, 1, 86400):
                return -1
        if not integer(storing, 0, 1) or binding not in _BINDINGS:
            return -1
        if _BINDINGS[binding]:
            return -2
        insts[sid] = {
            0: 0,
            1: lt,
            2: pmin,
            3: pmax,
            5: disable,
            6: bool(storing),
            7: binding.encode(),
        }
        return 0

    def naming(self, mode):
        if not integer(mode, 0, 255):
            return -1
        if mode not in (1, 3):
            return -2
        self.mode = mode
        return 0

    def named(self, name):
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            return -1
        self.name = name
        return 0

    def urcs(self, on):
        if not integer(on, 0, 1):
            return -1
        self.urc = on
        return 0

    def firmware(self, download, update):
        if not integer(download, 0, 1) or not integer(update, 0, 1):
            return -1
        self.fota = (download, update)
        return 0

    def resets(self):
        self.reset()
        return 0

    def register(self):
        """Begin to register (or bootstrap) in the background; -1 where no server is configured."""
        c = self.client
        if self.stat() in (1, 2):
            return 0
        t = c.tree
        for sid in t.inst[0]:
            if sid:
                d = t.inst[1].setdefault(
                    sid, {1: 86400, 2: 86400, 3: 86400, 5: 86400, 6: True, 7: b"U"}
                )
                d[0] = t.inst[0][sid][10]
        c.endpoint = self.name if self.mode == 1 else None
        try:
            from .port import pdp

            up, apn = pdp()
            self.report(0, 1 - up, "pdp active", "successfully" if up else "failed", apn)
        except ImportError:
            pass  # no packet data protocol on this platform
        with c:
            try:
                c.start()
            except (ValueError, OSError):
                return -1
            if not self.running:
                import _thread

                if sys.platform != "linux":
                    _thread.stack_size(8192)
                _thread.start_new_thread(self.run, ())
                self.running = True
        return 0

    def run(self):
        while True:
            c = self.client
            try:
                c.run()
            except Exception as e:
                sys.print_exception(e)
            with c:
                if c is self.client and not c.active():
                    self.running = False
                    return

    def unregister(self):
        """De-register; -1 where there is nothing to leave."""
        if not self.client.active():
            return -1
        self.client.stop()
        return 0

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        return self.client.stat()

    def update(self, ssid):
        """Send an update; -1 where that server is not registered."""
        return 0 if integer(ssid, 1, 65534) and self.client.update(ssid) else -1

    def register_call(self, usrfun):
        """usrfun([event, code, text]) hears of events; None removes it."""
        if usrfun is not None and not callable(usrfun):
            return -1
        self.call = usrfun
        return 0

    def report(self, n, code, *fields):
        if self.urc and self.call:
            s = ",".join([str(x) if isinstance(x, int) else '"%s"' % x for x in fields])
            try:
                self.call([n, code, "+QLWURC: " + s])
            except Exception as e:
                sys.print_exception(e)

    def heard(self, n, ssid):
        good = {16: "initial", 18: "dtls", 3: "bootstrap", 5: "ready", 7: "update"}.get(n)
        bad = {17: "initial", 19: "dtls", 1: "bootstrap", 4: "ready", 6: "ready"}.get(n)
        if n == 6 and self.stat() == 2:
            bad = "update"
        if good:
            self.report(n, 0, good, "successfully", ssid)
        elif bad:
            self.report(n, 1, bad, "failed", ssid)
        elif n == 20:
            self.report(n, 0, "bootstraping")
        elif n == 21:
            self.report(n, 0, "registering")
        elif n in (8, 9):
            self.report(n, int(n == 8), "deregister", ssid, int(n == 8))

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
