# CoAP toward one peer: messages, reliability, tokens, duplicates (RFC 7252); bodies in blocks are blockwise's
# SPDX-License-Identifier: MIT
from ..port import sooner, sys, ticks_add, ticks_diff, urandom
from .blockwise import Request, take_block1, write_body
from .numbers import (
    ACK,
    ACKNOWLEDGED,
    BAD_REQUEST,
    BLOCK1,
    CON,
    CREATED,
    EMPTY,
    FETCH,
    FIRST_RESPONSE,
    GET,
    INTERNAL_SERVER_ERROR,
    MALFORMED,
    NON,
    NOT_COAP,
    RESET,
    RST,
    SIZE1,
    TIMED_OUT,
    CoapError,
)
from .recent import Recent

_HEADER = const(4)  # bytes before the token
_SEPARATE = const(93000)  # how long an acknowledged request waits for its response, ms


class Exchange:
    """A confirmable message of ours, sent until it is acknowledged.

    token: of a request, which then waits for its response; None for a response or a notification
    data: the datagram, None once it is acknowledged; due: ticks of the next retransmission, or of giving up
    timeout: ms until the one after; done(code, message) hears how it ends; request: a Request, or None"""

    retransmissions = 0

    def __init__(self, mid, token, data, due, timeout, done, request):
        self.mid = mid
        self.token = token
        self.data = data
        self.due = due
        self.timeout = timeout
        self.done = done
        self.request = request


class Endpoint:
    """`channel` takes datagrams, `writer` is the shared transmit buffer, `message` the shared reader.

    `owner.serve(message, writer, now)` answers a request: it writes options and payload and returns the
    response code, or EMPTY where the answer comes later. `owner.stream_function(message)` gives a function for a
    body that is to be streamed, or None: see take_block1(). What is put together is bounded by `owner.max_body`.
    `owner.snapshot_tag(first, format)`: see write_body(). `owner.notification_rejected(mid)` hears of a RST to a
    non-confirmable message; requests are ignored while `owner.takes_requests()` is False. `recent` are the requests
    that an endpoint before had from the same peer.
    Settable: `ack_timeout` (ms), `random_factor` (1500 is 1.5), `max_retransmit`, `nstart`, `szx`."""

    ack_timeout = 2000
    random_factor = 1500
    max_retransmit = 4
    nstart = 1
    szx = 5  # the block size is 16 << szx
    unsent = False  # the last message did not get out
    put_body = write_body

    def __init__(self, channel, writer, message, owner, recent=None):
        self.channel = channel
        self.writer = writer
        self.message = message
        self.owner = owner
        random = urandom(4)
        self.mid = random[0] << 8 | random[1]
        self.token_prefix = random[2:]
        self.exchanges = []
        self.recent = recent or Recent()
        self.uploads = []

    def transmit_span(self):
        """How long a confirmable message is retransmitted, ms (MAX_TRANSMIT_SPAN, RFC 7252 4.8.2)."""
        return self.ack_timeout * self.random_factor // 1000 * ((1 << self.max_retransmit) - 1)

    def at_nstart(self):
        """True while NSTART exchanges are open: nothing confirmable may be sent (RFC 7252 4.7)."""
        return len(self.exchanges) >= self.nstart

    def next_mid(self):
        self.mid = mid = (self.mid + 1) & 0xFFFF
        return mid

    # sending

    def flush(self):
        """Send what is in the buffer."""
        writer = self.writer
        self.unsent = True  # where send() raises
        self.unsent = self.channel.send(writer.buffer, writer.headroom, writer.position) is False

    def send_empty(self, mtype, mid):
        """Send an acknowledgement or a reset."""
        self.writer.begin(mtype, EMPTY, mid, b"")
        self.flush()

    def resend(self, data):
        writer = self.writer
        writer.position = writer.headroom + len(data)
        writer.copy(writer.headroom, data)
        self.flush()

    def datagram(self):
        """A copy of the message in the buffer."""
        writer = self.writer
        return bytes(memoryview(writer.buffer)[writer.headroom : writer.position])

    def send_confirmable(self, now, token, done, request=None):
        """Send the confirmable message in the buffer, which has self.mid, until it is answered.

        `done(code, message)` gets the code of the response, or ACKNOWLEDGED, RESET, TIMED_OUT."""
        timeout = self.ack_timeout
        timeout += urandom(1)[0] * (timeout * (self.random_factor - 1000) // 1000) // 255
        due = ticks_add(now, timeout)
        self.exchanges.append(
            Exchange(self.mid, token, self.datagram(), due, timeout, done, request)
        )
        self.flush()

    def request(self, now, code, path, query, content_format, body, done):
        """Send a request: see Request. `done` as in send_confirmable(); it also gets the code of a request
        that can't be written."""
        mid = self.next_mid()
        token = self.token_prefix + bytes((mid >> 8, mid & 255))
        request = Request(code, path, query, content_format, body, self.szx)
        self.send_request(now, request, token, done)

    def send_request(self, now, request, token, done):
        try:
            request.write(self.writer, self.next_mid(), token)
        except CoapError as error:
            return done(error.args[0], None)
        self.send_confirmable(now, token, done, request)

    # receiving

    def receive(self, data, now, root):
        """Take in a datagram; `root` holds the segments of the alternate path that requests begin with."""
        # few locals: see Message
        message = self.message
        refusal = message.parse(data, root)
        if refusal == NOT_COAP:
            return
        if refusal == MALFORMED or (message.mtype < ACK and not message.code):
            # can't be read, or a ping: a confirmable one is rejected (RFC 7252 4.2, 4.3)
            if message.mtype == CON:
                self.send_empty(RST, message.mid)
        elif not message.code:
            self.receive_empty(message, now)
        elif message.code >= FIRST_RESPONSE:
            self.receive_response(message, refusal, now)
        elif message.mtype == CON or (message.mtype == NON and not refusal):
            # a non-confirmable request with an unknown critical option is passed over (RFC 7252 5.4.1)
            self.receive_request(message, refusal, now)

    def receive_empty(self, message, now):
        """An acknowledgement or a reset of what we sent."""
        for exchange in self.exchanges:
            if exchange.mid == message.mid and exchange.data:
                if message.mtype == ACK and exchange.token:
                    # the response comes in a message of its own (RFC 7252 5.2.2)
                    exchange.data = None
                    exchange.due = ticks_add(now, _SEPARATE)
                else:
                    self.exchanges.remove(exchange)
                    exchange.done(RESET if message.mtype == RST else ACKNOWLEDGED, None)
                return
        if message.mtype == RST:
            self.owner.notification_rejected(message.mid)

    def receive_response(self, message, refusal, now):
        mid = message.mid
        token = message.token
        confirmable = message.mtype == CON
        for exchange in self.exchanges:
            if exchange.token == token and (message.mtype != ACK or exchange.mid == mid):
                break
        else:
            if confirmable:
                # one that was taken before, its acknowledgement being lost, or none of ours
                self.send_empty(ACK if token[:2] == self.token_prefix else RST, mid)
            return
        if confirmable:
            self.send_empty(RST if refusal else ACK, mid)
        self.exchanges.remove(exchange)
        if refusal:
            exchange.done(RESET, message)
        elif exchange.request.go_on(message.code, message.block1):
            try:
                self.send_request(now, exchange.request, token, exchange.done)
            except Exception:
                # no memory, no random bytes: given up, unless it waits to be sent again
                if not self.exchanges:
                    exchange.done(TIMED_OUT, None)
                raise
        else:
            exchange.done(message.code, message)

    def receive_request(self, message, refusal, now):
        if not self.owner.takes_requests():
            return
        mid = message.mid
        confirmable = message.mtype == CON
        place = self.recent.find(mid, now)
        if place >= 0:
            if confirmable:
                self.answer_again(message, place)
            return
        # what only reads is done anew for a duplicate (RFC 7252 4.5)
        reads = message.code == GET or message.code == FETCH
        if confirmable:
            code = self.respond(message, refusal, ACK, mid, now)
            if code == EMPTY:
                self.writer.begin(ACK, EMPTY, mid, b"")
        else:
            code = self.respond(message, refusal, NON, self.next_mid(), now)
        if code == EMPTY or not reads:
            options = self.datagram()[_HEADER + len(message.token) :] if code == CREATED else b""
            self.recent.add(mid, code, now, options)
        if code or confirmable:
            self.flush()

    def answer_again(self, message, place):
        """Answer a request that came before as it was answered then."""
        writer = self.writer
        code = self.recent.codes[place]
        options = self.recent.options_of(place)
        writer.begin(ACK, code, message.mid, message.token if code else b"")
        if options:
            writer.copy(writer.position, options)
            writer.position += len(options)
        elif code:
            writer.option(BLOCK1, message.block1)
        self.flush()

    def respond(self, message, refusal, mtype, mid, now):
        """Write the response to a request, its code is returned: the one place where a refusal is answered.

        `refusal` is the code that parsing it gave, or 0."""
        writer = self.writer
        writer.begin(mtype, EMPTY, mid, message.token)
        code = EMPTY
        try:
            if refusal:
                raise CoapError(refusal)
            if message.block1 >= 0:
                code = take_block1(self.uploads, message, self.owner, now)
            code = code or self.owner.serve(message, writer, now)
            if writer.last_option < BLOCK1:
                writer.option(BLOCK1, message.block1)
        except Exception as error:
            writer.begin(mtype, EMPTY, mid, message.token)
            if isinstance(error, CoapError):
                code = error.args[0]
                for size in error.args[1:]:
                    writer.option(SIZE1, size)
            elif isinstance(error, ValueError):
                code = BAD_REQUEST
            else:
                # memory that is not to be had, most likely
                code = INTERNAL_SERVER_ERROR
                sys.print_exception(error)
        writer.buffer[writer.headroom + 1] = code
        return code

    def poll(self, now):
        """Retransmit what is due; the ms until more is, or -1."""
        wait = -1
        for exchange in self.exchanges:
            left = ticks_diff(exchange.due, now)
            if left <= 0:
                if not exchange.data or exchange.retransmissions >= self.max_retransmit:
                    self.exchanges.remove(exchange)
                    exchange.done(TIMED_OUT, None)
                    return 0
                exchange.retransmissions += 1
                left = exchange.timeout = exchange.timeout * 2
                exchange.due = ticks_add(now, left)
                self.resend(exchange.data)
            wait = sooner(wait, left)
        self.recent.expire(now)
        # in the order of their last blocks
        if self.uploads and ticks_diff(self.uploads[0].due, now) < 0:
            self.uploads.pop(0)
        return wait
