# QuecPython's `lwm2m` object: a translation of its calls and of the client's events, and nothing else
# SPDX-License-Identifier: MIT
from .client import Client
from .events import (
    BOOTSTRAP,
    BOOTSTRAP_REG_FAILURE,
    BOOTSTRAP_TRANSFER_COMPLETE,
    CONNECT,
    CONNECT_FAILURE,
    DEREGISTER_FAILURE,
    DISCONNECT,
    REG_TIMEOUT,
    REG_UPDATE,
    REG_UPDATE_COMPLETE,
    REGISTRATION,
    REGISTRATION_COMPLETE,
    REGISTRATION_FAILURE,
    SECURE,
    SECURE_FAILURE,
    SERVER_DISABLED,
)
from .ids import (
    APN,
    APN_PROFILE,
    AUTHENTICATION_TYPE,
    BINDING,
    CURRENT_TIME,
    DEFAULT_PMAX,
    DEFAULT_PMIN,
    DEVICE,
    DISABLE_TIMEOUT,
    FIRMWARE_UPDATE,
    HIGHEST_ID,
    IDENTITY,
    IS_BOOTSTRAP,
    LIFETIME,
    MODE_NOSEC,
    MODE_PSK,
    NOTIFICATION_STORING,
    PACKAGE_URI,
    SECRET,
    SECRET_KEY,
    SECURITY,
    SECURITY_MODE,
    SECURITY_SSID,
    SERVER,
    SERVER_URI,
    SHORT_SERVER_ID,
    USER_NAME,
)
from .port import binascii, module, sys
from .session.connect import parse_uri
from .session.session import BOOTSTRAPPING, CONNECTING, LEAVING, REGISTERED, REQUESTING

# what calls return
DONE = const(0)
FAILURE = const(-1)
UNSUPPORTED = const(-2)

NAME_CONFIGURED = const(1)  # Epnamemode: Epname
NAME_OF_DEVICE = const(3)

BOOTSTRAP_SERVER = const(0)  # the server id of config()
LAST_SERVER = const(3)
DAY = const(86400)  # seconds

# The events that are reported with a result: the word, and whether it is a failure.
_RESULTS = {
    BOOTSTRAP_REG_FAILURE: ("bootstrap", 1),
    BOOTSTRAP_TRANSFER_COMPLETE: ("bootstrap", 0),
    REGISTRATION_FAILURE: ("ready", 1),
    REGISTRATION_COMPLETE: ("ready", 0),
    REG_TIMEOUT: ("update", 1),
    REG_UPDATE_COMPLETE: ("update", 0),
    CONNECT: ("initial", 0),
    CONNECT_FAILURE: ("initial", 1),
    SECURE: ("dtls", 0),
    SECURE_FAILURE: ("dtls", 1),
}

# What is reported of a server's write.
_WRITES = {
    (SERVER, LIFETIME): "lifetime_changed",
    (DEVICE, CURRENT_TIME): "current_time_changed",
    (FIRMWARE_UPDATE, PACKAGE_URI): "fota/pkgurl",
    (APN_PROFILE, APN): "apn_changed",
    (APN_PROFILE, AUTHENTICATION_TYPE): "authentication_type_changed",
    (APN_PROFILE, USER_NAME): "user_name_changed",
    (APN_PROFILE, SECRET): "secret_changed",
}


def integer(value, lowest, highest):
    """ValueError where `value` is no integer from `lowest` to `highest`."""
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError
    return value


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
    running = False  # a thread, or run(), drives the client
    again = False  # register() was called while the de-registration was under way

    def __init__(self):
        old = self.client
        client = Client()
        if old:
            # One lock over the life of the object: a call that waits for it goes on with the new client.
            client._lock = old._lock
            # no de-registration is sent, and none told
            old._listeners.remove(self.listener)
            if old._is_locked():
                old.call_soon(old._end_sessions, True)  # asked for by the callback
            else:
                old._run_calls()  # a start() that waits for its turn would begin after the end
                old._end_sessions(True)
        self.client = client
        self.listener = self.heard
        client._listeners.append(self.listener)
        client.on_server_write(self.written)
        del client.tree.objects[SECURITY][0]
        try:
            from .model.tables.standard import TABLE

            client.objects(TABLE)
            client.on_create("/11", self.created)
        except ImportError:
            pass  # an image without these objects
        self.updates = []  # SSIDs of those under way
        self.has_new_account = False  # that register() has not seen yet
        self.urc = 1
        self.name_mode = NAME_OF_DEVICE
        self.name = None
        self.fota = (1, 1)
        self.firmware = ()  # the instances of object 5, where the image and the port have it
        try:
            from .objects.firmware import setup

            self.firmware = setup(client)
        except ImportError:
            pass

    def init(self):
        """0: the object is ready as it is made."""
        return DONE

    # config()

    def config(self, kind, values):
        """Set up: see the table of QuecPython's page; a list of one element clears that server."""
        if not isinstance(values, (list, tuple)) or not isinstance(kind, int):
            return FAILURE
        configure = {
            self.Security: self.security,
            self.Server: self.server,
            self.Epnamemode: self.set_name_mode,
            self.Urc: self.set_urc,
            self.Fota: self.set_fota,
            self.Epname: self.set_name,
            self.Reset: self.reset,
        }.get(kind)
        if not configure:
            return UNSUPPORTED
        with self.client._lock:
            try:
                return configure(*values) or DONE
            except (AttributeError, TypeError, ValueError):
                return FAILURE

    def reset(self):
        self.__init__()

    def set_name_mode(self, mode):
        integer(mode, 0, 255)
        if mode != NAME_CONFIGURED and mode != NAME_OF_DEVICE:
            return UNSUPPORTED
        self.name_mode = mode

    def set_urc(self, on):
        self.urc = integer(on, 0, 1)

    def set_fota(self, download, update):
        """Automatic (1), or by the application (0): firmware[0].downloaded(), apply() or defer()."""
        self.fota = (integer(download, 0, 1), integer(update, 0, 1))
        for firmware in self.firmware:
            firmware.auto_download, firmware.auto_update = self.fota

    def set_name(self, name):
        if not isinstance(name, str):
            return FAILURE
        integer(len(name.encode()), 1, 64)
        self.name = name

    def security(self, server_id, *values):
        """config(Security): an account (SSID, URI, bootstrap, mode, identity, key), or nothing to clear it."""
        integer(server_id, BOOTSTRAP_SERVER, LAST_SERVER)
        account = None
        if values:
            account = self.new_account(server_id, *values)
            if isinstance(account, int):
                return account
        self.close_sessions(server_id)
        accounts = self.client.tree.objects[SECURITY]
        servers = self.client.tree.objects[SERVER]
        _, server_iid = self.settings_of(server_id)
        accounts.pop(server_id, None)
        if account:
            accounts[server_id] = account
            if server_id != BOOTSTRAP_SERVER:
                self.has_new_account = True
        elif server_iid in servers:
            servers[server_iid][SHORT_SERVER_ID] = 0

    def new_account(self, server_id, ssid, uri, bootstrap, mode, *keys):
        """The instance of object 0 for an account, or what config() is to return instead."""
        is_bootstrap = server_id == BOOTSTRAP_SERVER
        integer(ssid, 1, HIGHEST_ID)
        integer(bootstrap, is_bootstrap, is_bootstrap)
        integer(mode, 0, 4)
        if len(keys) not in (0, 2):
            return FAILURE
        secure = parse_uri(uri)[0]
        account = {
            SERVER_URI: uri.encode(),
            IS_BOOTSTRAP: is_bootstrap,
            SECURITY_MODE: mode,
            SECURITY_SSID: ssid,
        }
        integer(len(account[SERVER_URI]), 1, 256)
        if secure and mode == MODE_NOSEC:
            return FAILURE
        for other_id, other in self.client.tree.objects[SECURITY].items():
            if other_id != server_id and other.get(SECURITY_SSID) == ssid:
                return FAILURE
        if mode == MODE_NOSEC:
            return account if keys in ((), ("", "")) else FAILURE
        if mode != MODE_PSK:
            return UNSUPPORTED
        identity, key = keys
        if type(identity) is not str or type(key) is not str:
            return FAILURE
        account[IDENTITY] = identity.encode()
        account[SECRET_KEY] = binascii.unhexlify(key)
        integer(len(account[IDENTITY]), 1, 64)
        integer(len(key), 2, 128)
        # newer MicroPython passes over spaces between the digits
        if len(key) != 2 * len(account[SECRET_KEY]):
            return FAILURE
        try:
            from .dtls.record import Connection
        except ImportError:
            return UNSUPPORTED
        return account

    def close_sessions(self, server_id):
        """End the sessions of an account that is to be replaced or cleared."""
        client = self.client
        before = client.sessions
        client.sessions = [s for s in before if s.security_iid != server_id]
        for session in before:
            if session.security_iid != server_id:
                continue
            if client._is_locked():
                # asked for by the callback: first what that belongs to is brought to its end
                client.call_soon(type(session).close, session)
            else:
                session.close()

    def settings_of(self, server_id):
        """The SSID of an account, and its instance of object 1: that which carries the SSID, else the first
        from `server_id` on that carries no other account's."""
        accounts = self.client.tree.objects[SECURITY]
        servers = self.client.tree.objects[SERVER]
        ssid = accounts.get(server_id, {}).get(SECURITY_SSID)
        for iid in servers:
            if ssid and servers[iid].get(SHORT_SERVER_ID) == ssid:
                return ssid, iid
        taken = [account.get(SECURITY_SSID) for account in accounts.values()]
        iid = server_id
        while iid in servers and (servers[iid].get(SHORT_SERVER_ID) or -1) in taken:
            iid += 1
        return ssid, iid

    def server(self, server_id, *values):
        """config(Server): (lifetime, pmin, pmax, disable timeout, storing, binding), or nothing to clear them."""
        integer(server_id, 1, LAST_SERVER)
        tree = self.client.tree
        ssid, iid = self.settings_of(server_id)
        there = iid in tree.objects[SERVER]
        if not values:
            if there:
                tree.delete(SERVER, iid)
            return DONE
        lifetime, pmin, pmax, disable_timeout, storing, binding = values
        for seconds in (lifetime, pmin, pmax, disable_timeout):
            integer(seconds, 1, DAY)
        integer(storing, 0, 1)
        if binding == "S" or binding == "SQ":
            return UNSUPPORTED
        # SMS is stored, and served over UDP
        if binding not in "U UQ US UQS".split():
            return FAILURE
        if not there:
            tree.create(SERVER, iid)
        settings = {
            SHORT_SERVER_ID: ssid or tree.get(SERVER, iid, SHORT_SERVER_ID) or 0,
            LIFETIME: lifetime,
            DEFAULT_PMIN: pmin,
            DEFAULT_PMAX: pmax,
            DISABLE_TIMEOUT: disable_timeout,
            NOTIFICATION_STORING: storing > 0,
            BINDING: binding.encode(),
        }
        for rid in settings:
            tree.store(SERVER, iid, rid, -1, settings[rid])

    # life

    def register(self):
        """Begin to register (or bootstrap) in the background; -1 where no server is configured. Where there are no
        threads, poll() or run() has to be called."""
        with self.client._lock:
            try:
                if self.may_begin():
                    self.begin()
                if not self.running:
                    from .port import start_thread

                    start_thread(self.work)
                    self.running = True
            except ImportError:
                pass  # no threads: poll() or run() does it
            except (ValueError, OSError):
                return FAILURE
        return DONE

    def may_begin(self):
        """False where register() has nothing to do now: what is under way goes on."""
        begin = True
        for session in self.client.sessions:
            if session.state == LEAVING:
                # once it has left
                self.again = True
                begin = False
            elif (
                session.state in (REGISTERED, CONNECTING, REQUESTING, BOOTSTRAPPING)
                # to listen to a bootstrap server is nothing that is under way
                and not session.listening
            ):
                begin = self.has_new_account
        return begin

    def begin(self, _=None):
        """Start the client with all accounts there are; ValueError where there is none, or no name."""
        client = self.client
        self.updates = []
        client.endpoint = None
        if self.name_mode == NAME_CONFIGURED:
            client.endpoint = self.name
            if not self.name:
                raise ValueError
        count = 0
        for server_id, account in client.tree.objects[SECURITY].items():
            if account.get(SECURITY_SSID) and not account.get(IS_BOOTSTRAP):
                count += 1
                self.add_settings(server_id)
        try:
            from .port import pdp

            up, apn = pdp()
            self.report(0, 1 - up, "pdp active", "successfully" if up else "failed", apn)
        except ImportError:
            pass  # no packet data protocol on this platform
        if count > 1:
            client._enable_access_control()
        client.start()
        self.has_new_account = False

    def add_settings(self, server_id):
        """Give an account that config(Server) did not set up the defaults."""
        ssid, iid = self.settings_of(server_id)
        defaults = {
            LIFETIME: DAY,
            DEFAULT_PMIN: DAY,
            DEFAULT_PMAX: DAY,
            DISABLE_TIMEOUT: DAY,
            NOTIFICATION_STORING: True,
            BINDING: b"U",
        }
        self.client.tree.objects[SERVER].setdefault(iid, defaults)[SHORT_SERVER_ID] = ssid

    def poll(self):
        """Where there are no threads: do what is due; the ms until more is, or -1. Call it again and again."""
        client = self.client
        wait = client.poll()
        if client is not self.client:
            # the callback has reset the object: the client before comes to its end
            client.poll()
            return 0
        return wait

    def run(self):
        """Where there are no threads: go on until there is nothing more to do, as after unregister()."""
        if not self.running:
            self.work()

    def work(self):
        """Drive the client until it has ended: the thread of register(), or run()."""
        try:
            while True:
                client = self.client
                try:
                    client.run()
                except Exception as error:
                    sys.print_exception(error)
                    module("time").sleep(1)
                with client._lock:
                    if client is self.client and not client._is_running():
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
            return FAILURE
        self.again = False
        self.client.stop()
        return DONE

    def stat(self):
        """0 not registered, 1 registering, 2 registered, 3 de-registering, 4 failed."""
        return self.client.stat()

    def update(self, ssid):
        """Send an update; -1 where that server is not registered."""
        return DONE if isinstance(ssid, int) and ssid > 0 and self.client.update(ssid) else FAILURE

    # what the callback hears of

    def register_call(self, usrfun):
        """usrfun([event, code, text]) hears of events; None removes it."""
        if usrfun is not None and not callable(usrfun):
            return FAILURE
        self.call = usrfun
        return DONE

    def report(self, event, code, *fields):
        """Call back with a line of `fields`, text in quotes and numbers bare."""
        if self.urc and self.call:
            line = ""
            for field in fields:
                line += (",%d" if isinstance(field, int) else ',"%s"') % field
            try:
                self.call([event, code, "+QLWURC: " + line[1:]])
            except BaseException as error:
                sys.print_exception(error)

    def heard(self, event, ssid):
        """An event of the client."""
        self.follow_updates(event, ssid)
        if event in _RESULTS:
            word, code = _RESULTS[event]
            if event == REG_TIMEOUT and self.stat() != REGISTERED:
                word = "ready"  # no update, but a registration
            self.report(event, code, word, "failed" if code else "successfully", ssid)
        elif event == BOOTSTRAP:
            self.report(event, 0, "bootstraping")
        elif event == REGISTRATION:
            self.report(event, 0, "registering")
        elif event in (DISCONNECT, DEREGISTER_FAILURE, SERVER_DISABLED):
            code = int(event == DEREGISTER_FAILURE)
            self.report(event, code, "deregister", ssid, code)
            if self.again and self.stat() != LEAVING:
                self.again = False
                self.client.call_soon(self.begin, None)

    def follow_updates(self, event, ssid):
        """Where the client connects or registers instead of an answer to its update, that has failed."""
        if event == REG_UPDATE:
            self.updates.append(ssid)
        elif ssid in self.updates:
            self.updates.remove(ssid)
            if event == CONNECT or event == REGISTRATION:
                self.report(REG_TIMEOUT, 1, "update", "failed", ssid)

    def created(self, path, _):
        """A server has made an APN connection profile."""
        iid = int(path[4:])
        for rid, value in sorted(self.client.tree.objects[APN_PROFILE][iid].items()):
            self.written(APN_PROFILE, iid, rid, value)

    def written(self, oid, iid, rid, value):
        """A server has written a resource."""
        word = _WRITES.get((oid, rid))
        if word:
            self.report(oid, 0, word, value if isinstance(value, int) else str(value, "utf8"))


_the = []


def lwm2m():
    """The one object there is."""
    if not _the:
        _the.append(Lwm2m())
    return _the[0]
