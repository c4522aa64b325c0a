# Bodies in blocks (RFC 7959): of requests of ours, of a server's requests, of responses
# SPDX-License-Identifier: MIT
from ..port import ticks_add
from .message import Writer
from .numbers import (
    BAD_OPTION,
    BLOCK1,
    BLOCK2,
    CHANGED,
    CON,
    CONTENT_FORMAT,
    CONTINUE,
    EMPTY,
    ETAG,
    MORE_BLOCKS,
    OBSERVE,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    SIZE1,
    SIZE2,
    SZX_MASK,
    SZX_RESERVED,
    URI_PATH,
    URI_QUERY,
    CoapError,
)

_MOST_UPLOADS = const(3)
_UPLOAD_LIFETIME = const(247000)  # ms that a transfer may rest, EXCHANGE_LIFETIME
_LONGEST_HELD = const(8192)  # bytes of a body of ours that is held still while it is sent
_SMALLEST = const(4)  # a block has 16 << szx bytes: its number, shifted by szx + 4, is an offset


def last_block(writer, at):
    """The Block option whose value ends before writer.buffer[at] is that of the last block."""
    writer.buffer[at - 1] &= ~MORE_BLOCKS


class Request:
    """A request of ours. What does not fit into one block goes block by block.

    path, query: sequences of bytes; body(writer) puts the payload, or is None; szx: the block size is 16 << szx"""

    number = 0  # of the block to be sent next
    total = 0  # bytes of the body, once it is known not to fit into one message
    restarted = False

    def __init__(self, code, path, query, content_format, body, szx):
        self.code = code
        self.path = path
        self.query = query
        self.content_format = content_format
        self.body = body
        self.szx = szx

    def write(self, writer, mid, token):
        """Write the message with the next block; CoapError where it doesn't fit, or the body refuses."""
        while True:
            writer.begin(CON, self.code, mid, token)
            for segment in self.path:
                writer.option(URI_PATH, segment)
            if self.body:
                writer.option(CONTENT_FORMAT, self.content_format)
            for part in self.query:
                writer.option(URI_QUERY, part)
            if not self.body:
                return
            if self.total:
                writer.option(BLOCK1, self.number << 4 | MORE_BLOCKS | self.szx)
                block_end = writer.position
                if not self.number:
                    writer.option(SIZE1, self.total)
            writer.begin_payload(self.number << self.szx + _SMALLEST, 16 << self.szx)
            self.body(writer)
            more = writer.end_payload()
            if self.total or not more:
                break
            # too long for one block: the same again, as the first of several
            self.total = writer.written
            self.hold()
        if self.total and not more:
            last_block(writer, block_end)

    def hold(self):
        """Hold the body still, so that a change in between does not tear it (RFC 7959 2.5).

        One that is too long, or not the same twice, is put anew for each block."""
        if self.total > _LONGEST_HELD:
            return
        try:
            held = Writer(self.total + 1)
        except MemoryError:
            return
        held.position = 0
        held.begin_payload(0, self.total)
        self.body(held)
        if held.written == self.total:
            payload = memoryview(held.buffer)[1:]
            self.body = lambda writer: writer.put(payload)

    def go_on(self, code, block1):
        """After a response: True where a block is to be sent next (RFC 7959 2.5, 2.9)."""
        if block1 < 0 or not self.total:
            return False
        old = self.szx
        szx = min(block1 & SZX_MASK, old)
        if code == CONTINUE:
            self.number = (self.number + 1) << old >> szx
            if self.number << szx + _SMALLEST >= self.total:
                return False  # it had the last block
        elif code == REQUEST_ENTITY_TOO_LARGE and szx < old:
            self.number = 0  # from the start, in smaller blocks
        elif code == REQUEST_ENTITY_INCOMPLETE and not self.restarted:
            self.number = 0  # the server has lost the blocks before: once more
            self.restarted = True
            return True
        else:
            return False
        self.szx = szx
        return True


class Upload:
    """An incoming transfer: `key` tells it apart, `body` is a bytearray or the function that it is streamed to,
    `offset` that of the next block, `due` (ticks) when it is given up."""

    def __init__(self, key, body, offset, due):
        self.key = key
        self.body = body
        self.offset = offset
        self.due = due


def take_block1(uploads, message, owner, now):
    """Take the block in a request: CONTINUE when more are to come, EMPTY when the message now has the whole body.

    Transfers are told apart by method and options, so those of several requests do not mix. A body that is
    streamed has no bound: the function that `owner.stream_function(message)` gave gets (offset, data, more) for
    each block, and may return a code at the end."""
    more = message.block1 & MORE_BLOCKS
    szx = message.block1 & SZX_MASK
    length = message.end - message.start
    if szx == SZX_RESERVED or (more and length != 16 << szx):
        raise ValueError
    upload = None
    for x in uploads:
        if x.key == message.transfer_key:
            upload = x
    offset = message.block1 >> 4 << szx + _SMALLEST
    if offset and (not upload or upload.offset != offset):
        raise CoapError(REQUEST_ENTITY_INCOMPLETE)
    if upload:
        uploads.remove(upload)
    body = upload.body if offset else owner.stream_function(message) or bytearray()
    data = memoryview(message.data)[message.start : message.end]
    code = EMPTY
    if callable(body):
        code = body(offset, data, more) or CHANGED
        if code != CHANGED:
            raise CoapError(code)
    else:
        append(body, data, max(offset + length, message.size1), owner.max_body)
    if more:
        if len(uploads) >= _MOST_UPLOADS:
            uploads.pop(0)
        due = ticks_add(now, _UPLOAD_LIFETIME)
        uploads.append(Upload(message.transfer_key, body, offset + length, due))
        return CONTINUE
    if not code:
        message.data = body
        message.start = 0
        message.end = len(body)
    return code


def append(body, data, total, most):
    """Put a block behind the others; 4.13 with what may be had (RFC 7959 2.9.3) where the whole is too long."""
    try:
        if total <= most:
            return body.extend(data)
    except MemoryError:
        pass
    raise CoapError(REQUEST_ENTITY_TOO_LARGE, most)


def write_body(endpoint, block2, block1, observe, content_format, encode):
    """Write options and payload of a response, or the block of it that `block2` asks for.

    block2, block1, observe: option values, -1 where absent
    encode(writer) puts the whole payload, each time the same: the owner's snapshot_tag(first, format) holds it still
    from the first block on, and gives its ETag"""
    writer = endpoint.writer
    szx = endpoint.szx
    start = writer.position
    number = 0
    total = -1
    if block2 >= 0:
        if block2 & SZX_MASK == SZX_RESERVED:
            raise ValueError
        # a number counts blocks of the size that it comes with (RFC 7959 2.4)
        asked = block2 & SZX_MASK
        szx = min(asked, szx)
        number = block2 >> 4 << asked - szx
    while True:
        writer.position = start
        writer.last_option = 0
        if block2 >= 0:
            writer.option(ETAG, endpoint.owner.snapshot_tag(not number, content_format))
        writer.option(OBSERVE, observe)
        writer.option(CONTENT_FORMAT, content_format)
        if block2 >= 0:
            writer.option(BLOCK2, number << 4 | MORE_BLOCKS | szx)
            block_end = writer.position
        writer.option(BLOCK1, block1)
        writer.option(SIZE2, total)
        writer.begin_payload(number << szx + _SMALLEST, 16 << szx)
        encode(writer)
        if not writer.end_payload() or block2 >= 0:
            break
        # too long for one message: the same again, as the first block
        block2 = 0
        total = writer.written
    if number and writer.written <= writer.window_start:
        raise CoapError(BAD_OPTION)
    if block2 >= 0 and writer.written <= writer.window_end:
        last_block(writer, block_end)
