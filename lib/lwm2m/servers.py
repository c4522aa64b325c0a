# The accounts of a client, the sessions that come from them, and in which order these begin
# SPDX-License-Identifier: MIT
from .coap.numbers import METHOD_NOT_ALLOWED, CoapError
from .events import DISCONNECT
from .ids import (
    ABSENT,
    ACCESS_CONTROL,
    BINDING,
    CLIENT_HOLD_OFF,
    DISABLE,
    FAILURE_BLOCK,
    INITIAL_DELAY,
    IS_BOOTSTRAP,
    LIFETIME,
    PRIORITY_ORDER,
    SECURITY,
    SECURITY_SSID,
    SERVER,
    SERVER_URI,
    SHORT_SERVER_ID,
    UPDATE_TRIGGER,
)
from .session.registration import Registration
from .session.session import FAILED, IDLE

BINDINGS = b"U UQ S SQ US UQS"


class Servers:
    """What a client does about its servers; Client adds values and life. It has `tree`, `min_lifetime`."""

    # A server asked for a bootstrap (1/x/9), or the bootstrap server began one by itself: the
    # registered sessions hold still meanwhile, and go on where it fails.
    _bootstrap_triggered = False

    def __init__(self):
        self.sessions = []
        self._calls = []

    def call_soon(self, function, argument):
        """Let the next poll() call function(argument): it may close the session whose request is being served."""
        self._calls.append((function, argument))

    def _run_calls(self):
        while self._calls:
            function, argument = self._calls.pop(0)
            try:
                function(argument)
            except MemoryError:
                # there may be more after the next collection
                self._calls.insert(0, (function, argument))
                raise

    # accounts

    def _accounts(self):
        """[(priority, server instance, security instance), ...] of the accounts that are whole, in order."""
        tree = self.tree
        found = []
        for server_iid in tree.objects[SERVER]:
            ssid = tree.get(SERVER, server_iid, SHORT_SERVER_ID)
            priority = tree.get(SERVER, server_iid, PRIORITY_ORDER)
            for security_iid, account in tree.objects[SECURITY].items():
                if (
                    ssid
                    and account.get(SECURITY_SSID) == ssid
                    and account.get(SERVER_URI)
                    and not account.get(IS_BOOTSTRAP)
                ):
                    found.append((-1 if priority is None else priority, server_iid, security_iid))
        return sorted(found)

    def _bootstrap_account(self):
        """The security instance of the bootstrap server, or -1."""
        for iid, account in self.tree.objects[SECURITY].items():
            if account.get(IS_BOOTSTRAP) and account.get(SERVER_URI):
                return iid
        return ABSENT

    def _accept_value(self, oid, rid, value):
        """A value that a server writes, as it is to be stored."""
        if oid == SERVER:
            if rid == LIFETIME:
                return value and max(value, self.min_lifetime)
            if rid == BINDING and value not in BINDINGS.split():
                raise ValueError
        return value

    def _enable_access_control(self):
        """Take up access control, where this image and the tables have it."""
        tree = self.tree
        if ACCESS_CONTROL not in tree.objects and tree.find(ACCESS_CONTROL) >= 0:
            try:
                from .objects.access import setup

                setup(self)
            except ImportError:
                pass  # not in this image

    # sessions

    def _register(self, kept):
        """Begin anew with every account. `kept` may be the session with the bootstrap server, that goes on
        listening as long as it has its account (it may write again by itself), or None."""
        if kept and not (kept.coap and kept.security_iid == self._bootstrap_account()):
            kept = None
        for session in self.sessions:
            if session is not kept:
                session.close()
        self._bootstrap_triggered = False
        sessions = []
        for _, server_iid, security_iid in self._accounts():
            sessions.append(Registration(self, security_iid, server_iid))
        if kept:
            kept.listening = True
            sessions.append(kept)
        self.sessions = sessions
        self._start_next()

    def _start_next(self):
        """Start sessions one after the other where their servers have priorities (1/x/13), else all at once."""
        for session in self.sessions:
            if session.state == IDLE:
                session.start(session.server(INITIAL_DELAY, 0))
            if session.server(PRIORITY_ORDER) is not None and (
                session.is_busy() or session.state == FAILED and session.server(FAILURE_BLOCK)
            ):
                break

    def _bootstrap(self, trigger):
        """Bootstrap instead of all sessions; `trigger` is the one whose server asked for it, or None."""
        from .session.bootstrap import Bootstrap

        self._bootstrap_triggered = bool(trigger)
        for session in self.sessions:
            session.close()
        session = Bootstrap(self, self._bootstrap_account())
        self.sessions = [session]
        hold_off = self.tree.get(SECURITY, session.security_iid, CLIENT_HOLD_OFF)
        session.start(0 if trigger else hold_off or 0)

    def _bootstrap_instead(self, _):
        """Bootstrap because no server takes the client: they are tried again after all attempts of that."""
        self._bootstrap(None)
        self.sessions[0].gives_back = False

    def _run_command(self, server_iid, rid):
        """Disable, Registration Update Trigger, Bootstrap-Request Trigger of a server instance."""
        for session in self.sessions:
            if session.server_iid != server_iid:
                continue
            if rid == DISABLE:
                self.call_soon(session.deregister, True)
            elif rid == UPDATE_TRIGGER:
                session.want_update()
            elif self._bootstrap_account() < 0:
                raise CoapError(METHOD_NOT_ALLOWED)
            else:
                self.call_soon(self._bootstrap, session)

    def _end_sessions(self, force):
        """De-register from every server, or (`force`) just end."""
        self._bootstrap_triggered = False
        for session in self.sessions:
            if session.state == IDLE:
                continue
            if force or session.bootstrap:
                session.close()
                if force or not session.listening:
                    session.emit(DISCONNECT)
            else:
                session.deregister(False)
