# A registered session: register, update, queue mode, de-register (Core 1.1.1 6.2)
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    BAD_REQUEST,
    CHANGED,
    CREATED,
    DELETE,
    DELETED,
    LINK_FORMAT,
    POST,
    PRECONDITION_FAILED,
    TIMED_OUT,
    TLV,
)
from ..events import (
    DEREGISTER,
    DEREGISTER_FAILURE,
    DISCONNECT,
    QUEUE_MODE_RX_OFF,
    REG_TIMEOUT,
    REG_UPDATE,
    REG_UPDATE_COMPLETE,
    REGISTRATION,
    REGISTRATION_COMPLETE,
    REGISTRATION_FAILURE,
    SECURE,
    SERVER_DISABLED,
)
from ..formats import announced
from ..ids import (
    BINDING,
    BOOTSTRAP_ON_FAILURE,
    DISABLE_TIMEOUT,
    LIFETIME,
    NOTIFICATION_STORING,
    SECURITY,
    SERVER,
)
from ..management.dispatch import serve, stream_function
from ..model.tree import MAY_READ
from ..model.values import format_path
from ..port import sooner, ticks_diff
from ..reporting import observations as reporting
from .session import CONNECTING, FAR, LEAVING, LONGEST_SLEEP, REGISTERED, REQUESTING, Session

# what an update is to say, bits of `update_parts`
NEW_LIFETIME = const(1)
NEW_BINDING = const(2)
NEW_OBJECTS = const(4)
FORCED = const(8)  # it is to go, whatever it says


SHORTEST_PERIOD = const(15)  # seconds between two updates without cause
LONGEST_UPDATE = const(600)  # seconds
SHORTEST_TRY = const(10)  # seconds that an update has at least, in a long lifetime
LOCKED_WAIT = const(100)  # ms until it is seen whether the application still holds the lock


def put_registration(client, writer):
    """Put the body of Register and Update, the links of what the client has (Core 1.1.1 6.2.1)."""
    from ..formats.link import put_link, version_attribute

    tree = client.tree
    root = client._root_path
    formats = b""
    others = False  # all images have TLV
    for number in announced() if tree.minor else ():
        formats += b" %d" % number
        others = others or number != TLV
    if root or others:
        writer.put(b"<" + (root or b"/") + b'>;rt="oma.lwm2m"')
        if others:
            writer.put(b';ct="%s"' % formats[1:])
    for oid in sorted(tree.objects):
        if oid == SECURITY:
            continue
        version = version_attribute(tree, oid)
        if version or not tree.objects[oid]:
            put_link(writer, root, format_path(oid), version)
        for iid in tree.instances(oid):
            put_link(writer, root, format_path(oid, iid))


class Registration(Session):
    """A session with a LwM2M server, of security instance `security_iid` and server instance `server_iid`."""

    bodies = ()  # composite bodies of which the server may ask for later blocks
    update_parts = 0
    minor = -1  # the minor version that is registered, -1 before there is one
    in_queue_mode = False  # as it is registered
    give_up = 0  # seconds, when the update that is under way is given up; 0: there is none
    last_mid = -1  # of the last message that went out

    def __init__(self, client, security_iid, server_iid):
        Session.__init__(self, client, security_iid)
        self.server_iid = server_iid
        self.observations = []
        self.attributes = []
        self.sends = []

    def lifetime(self):
        """Seconds that the registration lasts; 0: without end."""
        lifetime = self.server(LIFETIME, 86400)
        return lifetime and max(lifetime, self.client.min_lifetime)

    def queue_mode(self):
        """Is the registration to be in queue mode? The server (1/x/7) or the application wants it."""
        return self.client.queue or b"Q" in self.server(BINDING, b"")

    def is_registered(self):
        return self.state == REGISTERED

    def takes_requests(self):
        # before the registration is accepted they are ignored (TS 1.0.2 5.4)
        return self.state == REGISTERED or self.state == LEAVING

    # requests of the server

    def answer_request(self, message, writer, now):
        return serve(self, message, writer, now)

    def stream_function(self, message):
        return stream_function(self, message)

    def put_content(self, message, path, observe, content_format, block2=-1):
        if not message:
            self.check_access(path[0], path[1], MAY_READ)
        return Session.put_content(self, message, path, observe, content_format, block2)

    def notification_rejected(self, mid):
        reporting.notification_rejected(self, mid)

    def resource_changed(self, oid, iid, rid):
        if rid < 0:
            if oid != SECURITY:
                self.update_parts |= NEW_OBJECTS
        elif oid == SERVER and iid == self.server_iid:
            if rid == LIFETIME:
                self.update_parts |= NEW_LIFETIME
            elif rid == BINDING:
                self.update_parts |= NEW_BINDING
        reporting.resource_changed(self, oid, iid, rid)

    # what outlives the connection

    def store_changes(self):
        """The server is out of reach: keep what changes under its observations, if it wants that (1/x/6)."""
        if self.server(NOTIFICATION_STORING):
            try:
                from ..reporting.storing import hold

                hold(self)
            except ImportError:
                pass  # not in this image
            except Exception as error:
                # memory, most likely: the history is lost, and nothing else
                self.client._tell_error(error, self.ssid)

    def restore_registration(self, now):
        """Take back the registration that a deep sleep interrupted, where this image keeps it."""
        try:
            from .resume import wake

            wake(self, now)
        except ImportError:
            pass  # DTLS sessions alone are kept in this image

    def restore_parts(self, lifetime, objects_differ):
        """What the next update has to say: the server knows that lifetime, and other objects perhaps."""
        if lifetime != self.lifetime():
            self.update_parts |= NEW_LIFETIME
        if objects_differ:
            self.update_parts |= NEW_OBJECTS

    def save_registration(self):
        """Keep the registration for after a deep sleep, where this image does."""
        try:
            from .resume import keep

            keep(self)
        except ImportError:
            pass

    def save(self):
        """Save the registration where the application wants that; what fails is tried again with the next update."""
        try:
            if self.dtls:
                self.channel.save()
        except Exception as error:
            self.client._tell_error(error, self.ssid)

    # register

    def start(self, delay=0):
        self.store_changes()
        Session.start(self, delay)

    def connected(self, resumed):
        self.emit(SECURE)
        if self.state != CONNECTING:
            return  # stopped by the application
        if resumed and self.is_known():
            self.state = REGISTERED
            self.want_update()
            self.emit(REGISTRATION_COMPLETE)
        else:
            self.request()

    def disconnected(self, cause=None):
        if self.state == REGISTERED:
            self.start()
        elif self.state == LEAVING:
            self.deregistered(0, None)
        else:
            Session.disconnected(self, cause)

    def is_known(self):
        """True where the server still has the registration, as it has the DTLS session."""
        client = self.client
        if client.load and not self.location:
            self.restore_registration(client.now)
            self.in_queue_mode = self.queue_mode()
        return bool(self.location) and client.now_s < self.expires

    def request(self):
        """Register (Core 1.1.1 6.2.1)."""
        client = self.client
        if self.state != REQUESTING:
            self.emit(REGISTRATION)
            if not self.coap:
                return  # stopped by the application
            # each attempt begins with the newest; answered() goes on with older ones
            self.minor = client._newest_minor()
        self.state = REQUESTING
        self.update_parts = 0
        self.tree.minor = self.minor
        self.in_queue_mode = self.queue_mode()
        self.location = self.bodies = ()
        self.observations = []
        query = self.binding_query()
        query.append(b"ep=" + client.endpoint.encode())
        query.append(b"lt=%d" % self.lifetime())
        query.append(b"lwm2m=1.%d" % self.minor)
        self.coap.request(
            client.now, POST, (b"rd",), query, LINK_FORMAT, self.put_links, self.answered
        )

    def put_links(self, writer):
        put_registration(self.client, writer)

    def binding_query(self):
        """Binding and queue mode: one parameter in LwM2M 1.0, two later."""
        if self.minor:
            return [b"b=U", b"Q"] if self.in_queue_mode else [b"b=U"]
        binding = self.server(BINDING, b"U")
        if self.in_queue_mode and b"Q" not in binding:
            binding = binding[:1] + b"Q" + binding[1:]
        return [b"b=" + binding]

    def answered(self, code, message):
        """The registration is answered, or lost (`code` below 0)."""
        if code == CREATED and message.query:
            self.location = list(message.query)
            self.registered(REGISTRATION_COMPLETE)
        elif (
            (code == PRECONDITION_FAILED or code == BAD_REQUEST)
            and self.minor
            and self.client.version is None
        ):
            # perhaps an older version will do
            self.minor -= 1
            self.request()
        else:
            self.fail(REGISTRATION_FAILURE if code > 0 else REG_TIMEOUT)

    def registered(self, event):
        """Registered, or still so."""
        client = self.client
        lifetime = self.lifetime()
        self.state = REGISTERED
        self.attempts = self.sequences = 0
        self.asleep = False
        self.last_heard = client.now
        self.expires = client.now_s + (lifetime or FAR)
        delay = max(lifetime - self.update_time(), lifetime // 2, 1) if lifetime else FAR
        if client.update_period:
            delay = min(delay, max(client.update_period, SHORTEST_PERIOD))
        self.due = client.now_s + min(delay, FAR)
        self.save()
        client._start_next()
        self.emit(event)

    def update_time(self):
        """How many seconds before the lifetime ends an update goes: its last retransmission may stay without
        an answer, and then the server is to be reached anew."""
        coap = self.coap
        wait = 2 * coap.transmit_span() + coap.ack_timeout * coap.random_factor // 1000
        return self.return_time() + (wait + 999) // 1000

    def return_time(self):
        """How many seconds a handshake, if there is one, and a new registration may take."""
        wait = self.client.update_early
        if self.dtls:
            wait += self.coap.transmit_span() // 1000
        return wait

    def fallback(self):
        client = self.client
        if (
            client._bootstrap_account() < 0
            or not self.server(BOOTSTRAP_ON_FAILURE, True)
            or client.stat() == REGISTERED  # another server still has the client
        ):
            return False
        client.call_soon(client._bootstrap_instead, None)
        return True

    # update

    def want_update(self):
        """An update is wanted: it was asked for, or the server may be lost."""
        self.update_parts |= FORCED

    def update(self):
        """Send what has changed, or that the client is still there (Core 1.1.1 6.2.2)."""
        client = self.client
        parts = self.update_parts
        if parts & NEW_BINDING and self.queue_mode() != self.in_queue_mode:
            # queue mode belongs to a registration, and not to its updates (Core 1.1.1 6.2.1)
            return self.request()
        self.asleep = False
        self.emit(REG_UPDATE)
        if self.state != REGISTERED:
            return  # stopped by the application
        query = []
        if parts & NEW_LIFETIME:
            query.append(b"lt=%d" % self.lifetime())
        if parts & NEW_BINDING:
            query += self.binding_query()
        body = self.put_links if parts & NEW_OBJECTS else None
        # Another one only where the answer stays away for longer than it can, as after an exception.
        self.due = client.now_s + LONGEST_UPDATE
        # A short lifetime has no room for all retransmissions: a quarter is left to register anew.
        quarter = self.lifetime() // 4
        self.give_up = max(
            self.expires - min(self.return_time() + 1, quarter),  # poll() may come some ms late
            client.now_s + min(SHORTEST_TRY, quarter),
        )
        self.update_parts = 0
        try:
            self.coap.request(
                client.now, POST, self.location, query, LINK_FORMAT, body, self.updated
            )
        except Exception:
            self.update_parts |= parts or FORCED
            raise

    def updated(self, code, message):
        """The update is answered, or lost (`code` below 0)."""
        self.give_up = 0
        if code == CHANGED:
            return self.registered(REG_UPDATE_COMPLETE)
        if code == TIMED_OUT:
            self.emit(REG_TIMEOUT)
        if self.state != REGISTERED:
            return
        # forgotten by the server, or out of reach: register again, which is no failed attempt
        if code > 0:
            self.request()
        else:
            self.start()

    def may_send(self):
        """True where something may be sent now. In RX off an update goes first (Core 1.1.1 6.5)."""
        if self.asleep:
            self.want_update()
        return self.state == REGISTERED and not self.asleep and not self.coap.at_nstart()

    # de-register

    def deregister(self, disabled):
        """De-register (Core 1.1.1 6.2.3), for good or, `disabled`, for the seconds of 1/x/5."""
        self.disabled = disabled
        if self.state == REGISTERED:
            self.state = LEAVING
            self.asleep = False
            self.emit(DEREGISTER)
            # what is still under way is given up: this is the last word
            self.coap.exchanges.clear()
            try:
                self.coap.request(
                    self.client.now, DELETE, self.location, (), -1, None, self.deregistered
                )
            except Exception as error:
                self.client._tell_error(error, self.ssid)  # tend() ends it
        elif self.state != LEAVING:
            self.deregistered(DELETED, None)

    def deregistered(self, code, message):
        """The de-registration is answered, or needs none."""
        if self.disabled:
            self.store_changes()
        self.location = self.bodies = ()
        self.observations = []
        self.save()
        self.close()
        if self.disabled:
            self.emit(SERVER_DISABLED)
            # the second that has begun does not count
            self.start(self.server(DISABLE_TIMEOUT, 86400) + 1)
        else:
            self.emit(DISCONNECT if code == DELETED else DEREGISTER_FAILURE)

    # while registered

    def tend(self, now):
        """Do what is due in a registered session; the ms until something will be, or -1."""
        client = self.client
        coap = self.coap
        if self.state == LEAVING and not coap.exchanges:
            # an exception came in between: the server did not hear of it
            self.deregistered(TIMED_OUT, None)
            return 0
        if self.state != REGISTERED:
            return -1
        self.tree.minor = self.minor  # another server may have another version
        if self.give_up and client.now_s >= self.give_up:
            self.updated(TIMED_OUT, None)
            return 0
        if (self.update_parts or client.now_s >= self.due) and not coap.at_nstart():
            self.update()
            return 0
        if self.deferred:
            self.answer_deferred(now)
        if client._is_locked():
            return LOCKED_WAIT
        if self.sends:
            self.sends[0].poll(now)
        # an update that is due, but waits for another exchange, is no reason to wake
        left = (self.give_up or self.due) - client.now_s
        wait = min(left, LONGEST_SLEEP) * 1000 + 1 if left > 0 else -1
        if self.in_queue_mode and not self.asleep:
            wait = sooner(wait, self.stay_awake(now))
        wait = sooner(wait, reporting.poll(self, now))
        if self.update_parts and not coap.at_nstart():
            return 0  # one of them, or a Send, has to wait for an update
        return wait

    def stay_awake(self, now):
        """Queue mode: switch the radio off at the end of the awake window (Core 1.1.1 6.5); the ms until then."""
        if self.coap.mid != self.last_mid:
            # each message of ours has a number of its own, an answer that of the request, which was heard
            self.last_mid = self.coap.mid
            self.last_heard = now
        left = self.client.awake_time * 1000 - ticks_diff(now, self.last_heard)
        if left > 0:
            return left
        if not self.coap.exchanges:
            self.asleep = True
            self.emit(QUEUE_MODE_RX_OFF)
        return -1
