# aiocoap as the desk server needs it: an address of its own, several listeners, bounded uploads, answers to what is no text.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
import logging
from collections import deque

import aiocoap
from aiocoap import Code, Message, defaults, error
from aiocoap.blockwise import Block1Spool, IncompleteException
from aiocoap.message import Direction
from aiocoap.numbers.types import ACK, CON
from aiocoap.transports.udp6 import MessageInterfaceUDP6, UDP6EndpointAddress

HEADER = 4  # bytes before the token
TOKEN_LENGTHS = range(9)
MAX_RECENT = 50000  # requests that are remembered, to tell repetitions
MAX_UPLOADS = 256  # bodies that are put together of blocks at once
MAPPED = "::ffff:"  # how an IPv4 address stands in an IPv6 one

_log = logging.getLogger("lwm2m.coap")


class Context(aiocoap.Context):
    """aiocoap's context, which asks its first interface for an address before the others may know it."""

    async def find_remote_and_interface(self, message: Message):
        for each in self.request_interfaces:
            if await each.token_interface.message_interface.recognize_remote(message.remote):
                return each
        raise error.NoRequestInterface()


class Spool(Block1Spool):
    """Bodies that come in blocks: not more than MAX_UPLOADS, and a gap in one is 4.08."""

    def feed_and_take(self, request: Message) -> Message:
        block, waiting = request.opt.block1, self._assemblies._items
        if block is not None and block.block_number == 0:
            while len(waiting) >= MAX_UPLOADS:
                del waiting[next(iter(waiting))]
        try:
            return super().feed_and_take(request)
        except ValueError:
            raise IncompleteException from None


class Duplicates:
    """aiocoap's look for repeated requests, with a bound, and without a timer for each message."""

    def __init__(self, messages):
        """messages: the message manager whose table of recent messages this tends."""
        self._messages, self._known = messages, messages._deduplicate_message
        self._ends: deque[tuple[float, tuple]] = deque()  # (when it may be forgotten, key)

    def repeated(self, message: Message) -> bool:
        """Did it come before? Then its answer is sent again, if there is one yet."""
        recent, now = self._messages._recent_messages, self._messages.loop.time()
        while self._ends and (self._ends[0][0] <= now or len(self._ends) >= MAX_RECENT):
            recent.pop(self._ends.popleft()[1], None)
        key = message.remote, message.mid
        if key in recent:
            return self._known(message)
        recent[key] = None
        self._ends.append((now + message.transport_tuning.EXCHANGE_LIFETIME, key))
        return False


class Udp(MessageInterfaceUDP6):
    """aiocoap's UDP; no datagram makes it raise."""

    @classmethod
    async def listen(cls, manager, host: str, port: int) -> Udp:
        """On an address that nobody else listens on: OSError for a second server there."""
        reuse, defaults.has_reuse_port = defaults.has_reuse_port, lambda **_: False
        try:
            return await cls.create_server_transport_endpoint(
                manager, _log, asyncio.get_running_loop(), (host, port), []
            )
        except error.ResolutionError as e:
            raise OSError(f"{host} is no address of this machine") from e
        finally:
            defaults.has_reuse_port = reuse

    def datagram_msg_received(self, data, ancdata, flags, address) -> None:
        try:
            super().datagram_msg_received(data, ancdata, flags, address)
        except UnicodeDecodeError:
            pktinfo = next((content for _, _, content in ancdata), None)
            refuse(self._ctx, data, UDP6EndpointAddress(address, self, pktinfo=pktinfo))
        except Exception:
            _log.exception("a datagram of %s could not be handled", address[0])


def decode(data: bytes, remote) -> Message:
    """A message from the network; UnparsableMessage or UnicodeDecodeError when it is none."""
    message = Message.decode(data, remote)
    message.direction = Direction.INCOMING
    return message


def refuse(manager, data: bytes, remote) -> None:
    """Answer 4.00 to a confirmable request with an option that should be text, and is not UTF-8."""
    length = data[0] & 0x0F
    if not Code(data[1]).is_request() or data[0] >> 4 & 3 != CON or length not in TOKEN_LENGTHS:
        return
    answer = Message(code=Code.BAD_REQUEST, payload=b"an option is not UTF-8")
    answer.mtype, answer.mid = ACK, int.from_bytes(data[2:HEADER], "big")
    answer.token = data[HEADER : HEADER + length]
    answer.remote = remote.as_response_address()
    manager._send_initially(answer)
