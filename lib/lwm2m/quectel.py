# QuecPython's `lwm2m` object: a translation of its calls and of the client's events, and nothing else
# SPDX-License-Identifier: MIT
import sys

from .client import Client, address
from .port import binascii


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
    running = False

    def __init__(self):
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
        with self.client:
            try:
                if kind == 1:
                    return self.security(*values)
                if kind == 2:
                    return self.server(*values)
                if kind == 9:
                    self.__init__(*values)
                    return 0
                if kind == 7:
                    download, update = values
                    integer(download, 0, 1)
                    integer(update, 0, 1)
                    self.fota = values
                    return 0
                if kind not in (4, 5, 15):
                    return -2
                (v,) = values
                if kind == 4:
                    integer(v, 0, 255)
                    if v not in (1, 3):
                        return -2
                    self.mode = v
                elif kind == 5:
                    integer(v, 0, 1)
                    self.urc = v
                elif isinstance(v, str) and 0 < len(v) <= 64:
                    self.name = v
                else:
                    return -1
                return 0
            except (AttributeError, TypeError, ValueError):
                return -1

    def security(self, sid, ssid=None, uri=None, bootstrap=None, mode=None, identity="", key=""):
        integer(sid, 0, 3)
        insts = self.client.tree.inst[0]
        if ssid is None:
            insts.pop(sid, None)
            return 0
        integer(ssid, 1, 65534)
        integer(mode, 0, 4)
        secure = address(uri)[0]
        if bootstrap != (sid == 0) or len(uri) > 256 or (secure and mode == 3):
            return -1
        d = {0: uri.encode(), 1: sid == 0, 2: mode, 10: ssid}
        if mode == 0:
            if not 0 < len(identity) <= 64 or not 0 < len(key) <= 128:
                return -1
            d[3] = identity.encode()
            d[5] = binascii.unhexlify(key)
            try:
                from .dtls.record import Secure
            except ImportError:
                return -2
        elif mode != 3:
            return -2
        insts[sid] = d
        return 0

    def server(self, sid, *v):
        integer(sid, 1, 3)
        insts = self.client.tree.inst[1]
        if not v:
            insts.pop(sid, None)
            return 0
        lt, pmin, pmax, disable, storing, binding = v
        for x in v[:4]:
            integer(x, 1, 86400)
        integer(storing, 0, 1)
        if binding in ("S", "SQ"):
            return -2
        # SMS is stored, and served over UDP
        if binding not in ("U", "UQ", "US", "UQS"):
            return -1
        insts[sid] = {
            0: 0,
            1: lt,
            2: pmin,
            3: pmax,
            5: disable,
            6: storing > 0,
            7: binding.encode(),
        }
        return 0

    def register(self):
        """Begin to register (or bootstrap) in the background; -1 where no server is configured."""
        c = self.client
        if self.stat() in (1, 2):
            return 0
        t = c.tree
        for sid, account in t.inst[0].items():
            if sid:
                d = t.inst[1].setdefault(
                    sid, {1: 86400, 2: 86400, 3: 86400, 5: 86400, 6: True, 7: b"U"}
                )
                d[0] = account[10]
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
            except Exception as e:
                sys.print_exception(e)

    def heard(self, n, ssid):
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
        code = int(n in (1, 4, 6, 8, 17, 19))
        if name and n != 2:
            self.report(n, code, name, "failed" if code else "successfully", ssid)
        elif n in (8, 9):
            self.report(n, code, "deregister", ssid, code)
        elif n in (20, 21):
            self.report(n, 0, "registering" if n == 21 else "bootstraping")

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
