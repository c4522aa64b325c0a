# A session with a server: connect, retry, poll, and the requests of the server (Core 1.1.1 6)
# SPDX-License-Identifier: MIT
from ..coap.endpoint import Endpoint
from ..coap.numbers import NON, NOT_ACCEPTABLE, SERVICE_UNAVAILABLE, TIMED_OUT, CONTENT, CoapError
from ..events import (
    CONNECT,
    CONNECT_FAILURE,
    NETWORK_ERROR,
    REGISTRATION_FAILURE,
    SECURE,
    SECURE_FAILURE,
)
from ..formats import find_format
from ..ids import (
    ABSENT,
    RETRY_COUNT,
    RETRY_TIMER,
    SECURITY,
    SECURITY_SSID,
    SEQUENCE_COUNT,
    SEQUENCE_DELAY,
    SERVER,
)
from ..port import sooner, sys
from .connect import open_channel

try:
    from ..port import online
except ImportError:

    def online():
        """Is there a network? As good as always, where the port does not say."""
        return True


# States. The first five are what QuecPython's stat() tells; with those behind it tells REGISTERING.
IDLE = const(0)
REGISTERING = const(1)
REGISTERED = const(2)
LEAVING = const(3)  # the de-registration is under way
FAILED = const(4)  # a sequence of attempts is over
WAITING = const(5)  # until `due`, when the next attempt begins
CONNECTING = const(6)  # the DTLS handshake is under way
REQUESTING = const(7)  # the registration, or the bootstrap request, is under way
BOOTSTRAPPING = const(8)  # with the bootstrap server: it may write

MOST_DEFERRED = const(4)
PATIENCE = const(247)  # seconds that a request, and so its server, waits for the delayed answer
MOST_SNAPSHOTS = const(2)
FAR = const(1 << 28)  # seconds: far ahead, and yet an integer that is no object
LONGEST_SLEEP = const(1000)  # seconds: the clock is looked at once in a while

# the defaults of the retries, 1/x/17 to 19
ATTEMPTS = const(5)
FIRST_DELAY = const(60)
NEXT_SEQUENCE = const(86400)
OFFLINE_LOOK = const(5)  # seconds between two looks whether the network is there again
LONGEST_DELAY = const(300)  # seconds, between attempts that do not reach the network


class Deferred:
    """A request or a notification that waits for Client.answer()."""

    def __init__(self, tree, now_s, again, token):
        self.waiting = tree.waiting  # (object, instance, resource) whose function is to answer
        self.answers = tree.answers or {}  # those that have come since it was asked
        self.since = now_s
        self.again = again  # again(now) does it once more
        self.token = token  # of the observation; None for a request


class Session:
    """The client's side of one account: instance `security_iid` of object 0, and `server_iid` of object 1."""

    bootstrap = False  # with the bootstrap server
    listening = False  # with the bootstrap server, that has bootstrapped, and may write again
    disabled = asleep = False
    offline = False  # waiting, and the port says that there is no network
    server_iid = ABSENT
    coap = channel = dtls = (
        None  # the endpoint, what it sends through, and the DTLS connection in that
    )
    dtls_session = None  # what resumes the DTLS connection before
    due = -1  # seconds, when the next step begins
    attempts = sequences = etag = 0
    last_heard = 0  # ticks, when the server was last heard or spoken to: the awake window begins
    max_body = 8192  # bytes, the longest body that is put together from blocks
    observations = attributes = sends = bodies = ()
    location = ()  # segments of the path that the server gave the registration

    def __init__(self, client, security_iid):
        self.client = client
        self.tree = client.tree
        self.security_iid = security_iid
        self.ssid = client.tree.get(SECURITY, security_iid, SECURITY_SSID) or 0
        self.close()

    def server(self, rid, default=None):
        """A resource of the server's instance of object 1."""
        value = self.tree.get(SERVER, self.server_iid, rid)
        return default if value is None else value

    def emit(self, event):
        """Tell the listeners of an event of events.py."""
        self.client._emit(event, self.ssid)

    def is_registered(self):
        return False

    def takes_requests(self):
        """False where the requests of the server are to be ignored."""
        return True

    def is_busy(self):
        """True while an attempt is under way, or will be."""
        return self.state > FAILED

    # what subclasses have more to say about

    def fallback(self):
        """A sequence of attempts is over: True where something else was begun instead of the next."""
        return False

    def resource_changed(self, oid, iid, rid):
        """A value of the tree has changed (-1: instances were made or deleted)."""

    # requests of the server

    def serve(self, message, writer, now):
        """Answer a request: see Endpoint."""
        self.client.served = self
        try:
            return self.answer_request(message, writer, now)
        except CoapError as error:
            if not error.args[0]:
                self.defer_request(message)
            raise
        finally:
            self.tree.snapshot = None

    def defer_request(self, message):
        """Keep a request until its answer is known."""
        if len(self.deferred) >= MOST_DEFERRED:
            raise CoapError(SERVICE_UNAVAILABLE)
        raw = bytes(message.raw)
        data = message.data
        start = message.start
        end = message.end

        def again(now):
            # the response is a message of its own
            message.parse(raw, self.client._root)
            message.data = data
            message.start = start
            message.end = end
            message.block1 = -1
            coap = self.coap
            if coap.respond(message, 0, message.mtype, coap.next_mid(), now):
                if message.mtype == NON:
                    coap.flush()
                else:
                    coap.send_confirmable(now, None, lambda code, message: None)

        self.defer(again)

    def defer(self, again, token=None):
        """Let again(now) be called when the function that said LATER has answered."""
        self.deferred.append(Deferred(self.tree, self.client.now_s, again, token))

    def is_deferred(self, token):
        """True where a notification of the observation with this token waits for its answer."""
        for deferred in self.deferred:
            if deferred.token == token:
                return True
        return False

    def take_answers(self, answers):
        """Answers of the application, {(object, instance, resource): value}, for what waits for them by now."""
        for deferred in self.deferred:
            if deferred.waiting in answers:
                deferred.answers[deferred.waiting] = answers[deferred.waiting]

    def answer_deferred(self, now):
        """Do again what has its answer now."""
        if self.client.now_s - self.deferred[0].since > PATIENCE:
            self.deferred.pop(0)
        try:
            for deferred in self.deferred[:]:
                if deferred.waiting in deferred.answers and self.may_send():
                    self.deferred.remove(deferred)
                    self.tree.answers = deferred.answers
                    deferred.again(now)
        finally:
            self.tree.answers = ()

    def stream_function(self, message):
        """The application's function for an opaque body that is written as it comes, or None."""
        return None

    def notification_rejected(self, mid):
        """A non-confirmable message of ours was answered by a reset."""

    def check_access(self, oid, iid, right):
        """Refuse what this server has no right to."""
        if self.client.access:
            self.client.access.allow(self, oid, iid, right)

    def put_content(self, message, path, observe, content_format, block2=-1):
        """Write what stands at `path`, as a response to `message` or (None) a notification, of which `block2` gives
        the block size that its observer asked for; 2.05."""
        self.format = find_format(content_format)
        if not self.format:
            raise CoapError(NOT_ACCEPTABLE)
        block1 = -1
        if message:
            block1 = message.block1
            block2 = message.block2
        self.path = path
        self.coap.put_body(block2, block1, observe, content_format, self.encode)
        return CONTENT

    def encode(self, writer):
        """Put the body that put_content() has prepared; called again for each block."""
        oid, iid, rid, riid = self.path
        tree = self.tree
        try:
            tree.reader = self.ssid
            self.format.encode(writer, tree, oid, iid, rid, riid)
        finally:
            tree.reader = tree.snapshot = None

    def snapshot_tag(self, first, content_format):
        """Hold still what the body of `path` in a format shows, from its first block on; its ETag."""
        tree = self.tree
        key = (self.ssid, content_format) + tuple(self.path)
        for entry in tree.snapshots:
            if entry[0] == key:
                if not first or not entry[1]:
                    # nothing has changed: two readers of the same do not disturb each other
                    tree.snapshot = entry[1]
                    return entry[2]
                tree.snapshots.remove(entry)
                break
        self.etag = tag = self.etag % 65535 + 1
        tree.snapshot = {}
        if len(tree.snapshots) >= MOST_SNAPSHOTS:
            tree.snapshots.pop(0)
        tree.snapshots.append((key, tree.snapshot, tag))
        return tag

    # toward the server

    def start(self, delay=0):
        """Connect anew, after so many seconds."""
        self.close()
        self.state = WAITING
        self.due = self.client.now_s + delay

    def close(self):
        """End without a word to the server."""
        channel = self.channel
        self.coap = self.channel = None
        self.deferred = []
        self.state = IDLE
        self.due = -1
        try:
            if channel:
                channel.close()
        except Exception as error:
            self.client._tell_error(error, self.ssid)
        self.dtls = None

    def open(self):
        """Open the channel, and begin."""
        client = self.client
        self.disabled = False
        try:
            self.channel = open_channel(self)
            # a registration anew does not make a server's repetitions new requests
            recent = client._recent.get(self.security_iid)
            coap = Endpoint(self.channel, client._writer, client._message, self, recent)
            client._recent[self.security_iid] = coap.recent
            for name, value in client._coap_options.items():
                setattr(coap, name, value)
        except OSError:
            # no route, no address, no randomness
            return self.no_network()
        except Exception as error:
            # no such security mode, no credentials, whatever a hook of the application raises
            sys.print_exception(error)
            self.emit(CONNECT_FAILURE)
            return self.fail(REGISTRATION_FAILURE)
        self.coap = coap
        self.emit(CONNECT)
        if not self.coap:
            return  # stopped by the application, as it may be in any event
        if self.dtls:
            self.state = CONNECTING
            self.channel.start(client.now)
        else:
            self.request()

    def no_network(self):
        """The network was not reached: no attempt of the sequence, but tried again soon, and for ever."""
        self.emit(CONNECT_FAILURE)
        self.emit(REGISTRATION_FAILURE)
        if self.state != IDLE:
            self.start(min(self.server(RETRY_TIMER, FIRST_DELAY), LONGEST_DELAY))
            self.offline = not online()

    def connected(self, resumed):
        """The DTLS handshake is done; `resumed`: the server knew the DTLS session before."""
        self.emit(SECURE)
        if self.state == CONNECTING:
            self.request()

    def disconnected(self, cause=None):
        """The DTLS connection has failed, or its peer has ended it."""
        if self.state >= BOOTSTRAPPING:
            self.start()
        else:
            self.emit(SECURE_FAILURE)
            self.fail(REGISTRATION_FAILURE)

    def fail(self, event):
        """An attempt failed: again after a while, or, at the end of the sequence, what else is left."""
        client = self.client
        carrier = self.dtls or self.coap
        if carrier and carrier.unsent:
            return self.no_network()
        self.emit(event)
        if self.state == IDLE:
            return  # the application stopped it
        self.close()
        self.attempts += 1
        if self.attempts < self.server(RETRY_COUNT, ATTEMPTS):
            self.state = WAITING
            delay = self.server(RETRY_TIMER, FIRST_DELAY) << self.attempts - 1
            self.due = client.now_s + delay
            return
        self.attempts = 0
        self.sequences += 1
        if self.fallback():
            return
        self.state = FAILED
        if client.retry and self.sequences != self.server(SEQUENCE_COUNT):
            self.due = client.now_s + self.server(SEQUENCE_DELAY, NEXT_SEQUENCE)
        client._start_next()
        self.emit(NETWORK_ERROR)

    def poll(self, now):
        """Do what is due; the ms until something will be, or -1."""
        coap = self.coap
        if not coap:
            if self.due < 0:
                return -1
            left = self.due - self.client.now_s
            if left > 0 and not (self.offline and online()):
                return min(left, OFFLINE_LOOK if self.offline else LONGEST_SLEEP) * 1000
            self.offline = False
            self.open()
            return 0
        wait = -1
        if self.dtls:
            state = self.state
            wait = self.channel.poll(now)
            if self.state != state:
                return 0
            if state == CONNECTING:
                return wait
        wait = sooner(wait, coap.poll(now))
        if self.coap is not coap:
            return 0
        if self.state == REQUESTING and not coap.exchanges:
            # an exception came in between: nothing is out, or the answer is lost
            self.answered(TIMED_OUT, None)
            return 0
        return sooner(wait, self.tend(now))
