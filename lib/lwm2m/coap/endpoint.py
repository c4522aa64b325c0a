# CoAP toward one peer: messages, reliability, tokens, duplicates, blocks (RFC 7252; RFC 7959)
# SPDX-License-Identifier: MIT
from ..port import sys, ticks_add, ticks_diff, urandom
from .numbers import ACK, CON, NON, RESET, RST, TIMED_OUT, CoapError


# an exchange: what a confirmable message of ours waits for
_MID = const(0)
_TOKEN = const(1)  # None for a response: its acknowledgement ends the exchange
_DATA = const(2)  # None once acknowledged
_AT = const(3)
_TIMEOUT = const(4)
_COUNT = const(5)
_DONE = const(6)
_REQ = const(7)

# a request that may take several blocks
_SZX = const(5)
_NUM = const(6)
_TOTAL = const(7)  # 0 as long as it fits into one message

# incoming transfers in blocks (RFC 7959 2.5): [key, bytes or function, offset of the next block]
_SLOTS = const(3)

_SEEN = const(8)  # messages kept to know a duplicate by
_LIFE = const(247000)  # EXCHANGE_LIFETIME, ms
_SEPARATE = const(93000)  # how long an acknowledged request waits for its response, ms


class Endpoint:
    """`channel` takes datagrams, `w` is the shared transmit buffer, `p` the shared reader.

    `owner.serve(packet, w, now)` answers a request: it writes options and payload and returns the
    response code, or 0 where the answer comes later. `owner.stream(packet)` gives a function for a
    body that is to be streamed, or None: see take(). What is put together is bounded by `owner.max_body`.
    `owner.rejected(mid)` hears of a RST to a non-confirmable one.
    Settable: `ack_timeout` (ms), `random_factor` (1500 is 1.5), `max_retransmit`, `nstart`, `szx`."""

    ack_timeout = 2000
    random_factor = 1500
    max_retransmit = 4
    nstart = 1
    szx = 5  # the block size is 16 << szx

    def __init__(self, channel, w, p, owner):
        self.channel = channel
        self.writer = w
        self.message = p
        self.owner = owner
        r = urandom(4)
        self.mid = r[0] << 8 | r[1]
        self.token_prefix = r[2:]
        self.exchanges = []
        self.recent = []
        self.uploads = []

    def transmit_span(self):
        """How long a confirmable message is retransmitted, ms (MAX_TRANSMIT_SPAN, RFC 7252 4.8.2)."""
        return self.ack_timeout * self.random_factor // 1000 * ((1 << self.max_retransmit) - 1)

    def at_nstart(self):
        """True while NSTART exchanges are open: nothing confirmable may be sent."""
        return len(self.exchanges) >= self.nstart

    def next_mid(self):
        self.mid = m = (self.mid + 1) & 0xFFFF
        return m

    def flush(self):
        w = self.writer
        self.channel.send(w.buffer, w.headroom, w.position)

    def send_empty(self, typ, mid):
        self.writer.begin(typ, 0, mid, b"")
        self.flush()

    def resend(self, data):
        w = self.writer
        w.position = w.headroom + len(data)
        w.copy(w.headroom, data)
        self.flush()

    def send_confirmable(self, now, token, done, req=None):
        """Send the confirmable message in the buffer, again and again until it is answered.

        `done(code, packet)` gets the code of the response, 0 for the acknowledgement of a response or
        notification, -1 for a reset, -2 when no answer came."""
        t = self.ack_timeout
        w = self.writer
        t += urandom(1)[0] * (t * (self.random_factor - 1000) // 1000) // 255
        self.exchanges.append(
            [
                self.mid,
                token,
                bytes(memoryview(w.buffer)[w.headroom : w.position]),
                ticks_add(now, t),
                t,
                0,
                done,
                req,
            ]
        )
        self.flush()

    def request(self, now, code, path, query, ct, body, done):
        """Send a request: `path` and `query` are sequences of bytes, `body(writer)` puts the payload (or
        is None); what does not fit into a block goes block by block, `body` being called for each.
        `done` as in confirm(); it also gets the code of a request that can't be written."""
        m = self.next_mid()
        token = self.token_prefix + bytes((m >> 8, m & 255))
        self.send_block(now, [code, path, query, ct, body, self.szx, 0, 0], token, done)

    def send_block(self, now, req, token, done):
        code, path, query, ct, body, szx, num, total = req
        w = self.writer
        w.begin(CON, code, self.next_mid(), token)
        try:
            for s in path:
                w.option(11, s)
            if body:
                w.option(12, ct)
            for s in query:
                w.option(15, s)
            if total:
                w.option(27, num << 4 | 8 | szx)
                m = w.position - 1
                if not num:
                    w.option(60, total)
            if body:
                w.begin_payload(num << szx + 4, 16 << szx)
                body(w)
                more = w.end_payload()
                if more and not total:
                    req[_TOTAL] = w.written
                    return self.send_block(now, req, token, done)
                if total and not more:
                    w.buffer[m] &= 0xF7
        except CoapError as e:
            # too long for the buffer, or `body` refuses
            return done(e.args[0], None)
        self.send_confirmable(now, token, done, req)

    def receive(self, d, now, root):
        """Take in a datagram; `root` holds the segments of the alternate path that requests begin with."""
        p = self.message
        err = p.parse(d, root)
        if err < 0:
            return
        code = p.code
        typ = p.mtype
        mid = p.mid
        if err == 1 or (typ < ACK and not code):
            # one that can't be read, or an empty one (RFC 7252 4.2, 4.3): a confirmable one is rejected
            if not typ:
                self.send_empty(RST, mid)
            return
        if not code or code >= 64:
            return self.receive_response(p, err, now)
        if typ > NON or (err and typ):
            # a non-confirmable request with an unknown critical option is passed over (5.4.1)
            return
        seen = self.recent
        for e in seen:
            if e[0] == mid and ticks_diff(now, e[1]) < _LIFE:
                if not typ:
                    self.resend(e[2])
                return
        get = code == 1 or code == 5
        code = self.respond(p, err, typ or ACK, self.next_mid() if typ else mid, now)
        w = self.writer
        if not code and not typ:
            w.begin(ACK, 0, mid, b"")
        if not code or not get:
            # what only reads is done anew for a duplicate (RFC 7252 4.5)
            if len(seen) >= _SEEN:
                seen.pop(0)
            seen.append((mid, now, bytes(memoryview(w.buffer)[w.headroom : w.position])))
        if code or not typ:
            self.flush()

    def receive_response(self, p, err, now):
        # an acknowledgement, a reset or a response: what it ends
        typ = p.mtype
        mid = p.mid
        code = p.code
        for x in self.exchanges:
            done = x[_DONE]
            same = x[_MID] == mid
            if not code:
                if not same or not x[_DATA]:
                    continue
                if typ == ACK and x[_TOKEN]:
                    x[_DATA] = None
                    x[_AT] = ticks_add(now, _SEPARATE)
                else:
                    self.exchanges.remove(x)
                    done(RESET if typ == RST else 0, None)
                return
            if x[_TOKEN] == p.token and (typ != ACK or same):
                if not typ:
                    self.send_empty(RST if err else ACK, mid)
                self.exchanges.remove(x)
                # RFC 7959 2.5, 2.9: go on after 2.31, from the start in smaller blocks after 4.13
                req = x[_REQ]
                old = req[_SZX]
                szx = min(p.block1 & 7, old)
                if (
                    p.block1 < 0
                    or not req[_TOTAL]
                    or code != 0x5F
                    and (code != 0x8D or szx == old)
                ):
                    return done(RESET if err else code, p)
                req[_NUM] = (req[_NUM] + 1) << old >> szx if code == 0x5F else 0
                req[_SZX] = szx
                return self.send_block(now, req, p.token, done)
        if not typ:
            # one that was taken before, its acknowledgement being lost, or none of ours
            self.send_empty(ACK if p.token[:2] == self.token_prefix else RST, mid)
        elif typ == RST:
            self.owner.notification_rejected(mid)

    def respond(self, p, err, typ, mid, now):
        """Write the response to the request `p`: the one place where a refusal is answered."""
        w = self.writer
        w.begin(typ, 0, mid, p.token)
        try:
            if err:
                raise CoapError(err)
            code = self.take_block1(p) if p.block1 >= 0 else 0
            code = code or self.owner.serve(p, w, now)
            if w.last_option < 27:
                w.option(27, p.block1)
        except Exception as e:
            w.begin(typ, 0, mid, p.token)
            code = 0x80
            if isinstance(e, CoapError):
                code = e.args[0]
                for x in e.args[1:]:
                    w.option(60, x)
            elif not isinstance(e, ValueError):
                # memory that is not to be had, most likely
                code = 0xA0
                sys.print_exception(e)
        w.buffer[w.headroom + 1] = code
        return code

    def take_block1(self, p):
        """Take the block in `p`: 2.31 when more are to come, 0 when `p` now holds the whole body.

        Transfers are told apart by method and options, so those of several requests do not mix. A body
        that is streamed has no bound: the function that `owner.stream(p)` gave gets (offset, data, more)
        for each block, and may return a code at the end."""
        num = p.block1 >> 4
        more = p.block1 & 8
        szx = p.block1 & 7
        n = p.end - p.start
        if szx == 7 or (more and n != 16 << szx):
            raise ValueError
        old = None
        for x in self.uploads:
            if x[0] == p.transfer_key:
                old = x
        at = num << szx + 4
        if num and (not old or old[2] != at):
            raise CoapError(0x88)
        if old:
            self.uploads.remove(old)
        most = self.owner.max_body
        body = old[1] if num else self.owner.stream_function(p) or bytearray()
        data = memoryview(p.data)[p.start : p.end]
        if callable(body):
            code = body(at, data, more) or 0x44
            if code != 0x44:
                raise CoapError(code)
        else:
            try:
                if max(at + n, p.size1) > most:
                    raise MemoryError
                body.extend(data)
            except MemoryError:
                raise CoapError(0x8D, most)
            code = 0
        if more:
            if len(self.uploads) >= _SLOTS:
                self.uploads.pop(0)
            self.uploads.append((p.transfer_key, body, at + n))
            return 0x5F
        if not code:
            p.data = body
            p.start = 0
            p.end = len(body)
        return code

    def put_body(self, b2, b1, obs, ct, encode):
        """Write options and payload of a response, or the block of it that option value `b2` asks for
        (-1: none); `b1`, `obs` are -1 where absent; `encode(writer)` puts the whole payload, each time
        the same: `owner.snapshot(first)` holds it still from the first block on and returns its ETag."""
        w = self.writer
        start = w.position
        szx = self.szx
        num = 0
        if b2 >= 0:
            num = b2 >> 4
            if b2 & 7 == 7:
                raise ValueError
            szx = min(b2 & 7, szx)
        total = -1
        while True:
            w.position = start
            w.last_option = 0
            if b2 >= 0:
                w.option(4, self.owner.snapshot_tag(not num))
            w.option(6, obs)
            w.option(12, ct)
            if b2 >= 0:
                w.option(23, num << 4 | 8 | szx)
                m = w.position - 1
            w.option(27, b1)
            w.option(28, total)
            w.begin_payload(num << szx + 4, 16 << szx)
            encode(w)
            if not w.end_payload() or b2 >= 0:
                break
            b2 = 0
            total = w.written
        if num and w.written <= w.window_start:
            raise CoapError(0x82)
        if b2 >= 0 and w.written <= w.window_end:
            w.buffer[m] &= 0xF7

    def poll(self, now):
        """Retransmit what is due; the ms until more is, or -1."""
        wait = -1
        for x in self.exchanges:
            t = ticks_diff(x[_AT], now)
            if t <= 0:
                if not x[_DATA] or x[_COUNT] >= self.max_retransmit:
                    self.exchanges.remove(x)
                    x[_DONE](TIMED_OUT, None)
                    return 0
                x[_COUNT] += 1
                t = x[_TIMEOUT] = x[_TIMEOUT] * 2
                x[_AT] = ticks_add(now, t)
                self.resend(x[_DATA])
            if wait < 0 or t < wait:
                wait = t
        if self.recent and ticks_diff(now, self.recent[-1][1]) > _LIFE:
            # nothing came for so long that no transfer goes on either
            self.recent.clear()
            self.uploads.clear()
        return wait
