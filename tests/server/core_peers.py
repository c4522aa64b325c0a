# A device made of aiocoap and scripted answers, for the tests of the desk server.
# SPDX-License-Identifier: MIT

import asyncio
import contextlib
import functools

import aiocoap
from aiocoap import Code, Message, resource

from tools.server import Model, Server, events, formats
from tools.server.config import Config, Listener
from tools.server.service import DeskServer

LINKS = b'</>;rt="oma.lwm2m";ct=11542,</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>'


def run(test):
    """Run an async test function, bounded."""

    @functools.wraps(test)
    def wrapper(*args, **kwargs):
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 30))

    return wrapper


class Observed(resource.ObservableResource):
    """A resource that counts up, and notifies when told."""

    def __init__(self, payload=None):
        super().__init__()
        self.count, self.payload, self.seen = 0, payload, []

    async def render_get(self, request):
        self.seen.append((request.opt.observe, request.token))
        return Message(payload=self.payload or b"%d" % self.count, content_format=0)

    def notify(self):
        self.count += 1
        self.updated_state()


class Scripted(resource.Resource, resource.PathCapable):
    """Notes every request; answers from {(method, path): Message or fn}, otherwise 2.04 and the like."""

    def __init__(self, answers):
        super().__init__()
        self.answers, self.seen = answers, []

    async def render(self, request):
        key = request.code.name, "/" + "/".join(request.opt.uri_path)
        self.seen.append((*key, request))
        answer = self.answers.get(key)
        if callable(answer):
            answer = answer(request)
        if answer is not None:
            return answer.copy()
        code = {"DELETE": Code.DELETED, "GET": Code.NOT_FOUND}.get(request.code.name, Code.CHANGED)
        return Message(code=code)


class Client(Scripted):
    """A device: one aiocoap context that both registers and serves."""

    def __init__(self, server, endpoint="dev", host="127.0.0.1", answers=()):
        super().__init__(dict(answers))
        self.server, self.endpoint, self.host = server, endpoint, host

    async def __aenter__(self):
        self.observed = Observed()
        self.site = self.root = self
        self.context = await aiocoap.Context.create_server_context(
            self, bind=(self.host, 0), transports=["udp6"]
        )
        return self

    async def __aexit__(self, *_):
        await self.context.shutdown()

    async def render_to_pipe(self, pipe):
        path = pipe.request.opt.uri_path
        if pipe.request.code == Code.GET and tuple(path) == ("3303", "0", "5700"):
            return await self.observed.render_to_pipe(pipe)
        return await super().render_to_pipe(pipe)

    async def post(self, path, query=(), payload=b"", format=None, code=Code.POST):
        message = Message(code=code, uri=self.server.uri + path, payload=payload)
        message.opt.uri_query = query
        if format is not None:
            message.opt.content_format = format
        return await self.context.request(message).response

    async def register(self, *more, links=LINKS, path="/rd"):
        query = [f"ep={self.endpoint}", "lt=60", "lwm2m=1.0", "b=U", *more]
        return await self.post(path, query, links, 40)


@contextlib.asynccontextmanager
async def registered(answers=(), host="127.0.0.1", **options):
    """(server, client, device) with the device registered, and what was said in server.said."""
    said = []
    options.setdefault("transcript", lambda endpoint, text: said.append(text))
    async with Server(host, timeout=5, **options) as server:
        server.said = said
        async with Client(server, host=host, answers=answers) as client:
            assert (await client.register()).code == Code.CREATED
            yield server, client, (await server.wait("register", "dev")).device


def content(value, format=formats.TLV, path="/3/0", model=Model()):
    payload = formats.encode(format, path, value, model)
    return Message(code=Code.CONTENT, payload=payload, content_format=format)


@contextlib.asynccontextmanager
async def desk_server(*schemes, **options):
    """A desk server on free ports; `seen` has its events, `lines` those of the CoAP log."""
    listeners = [Listener(scheme, port=0) for scheme in schemes or ("coap",)]
    options.setdefault("coap_timeout", 3)
    async with DeskServer(Config(listeners=listeners, **options)) as desk:
        desk.seen = []
        desk.events.subscribe(desk.seen.append, set(events.KINDS) - {events.LOG})
        desk.lines = []
        desk.events.subscribe(desk.lines.append, {events.LOG})
        yield desk


def client_of(desk, endpoint="dev", answers=()):
    return Client(desk.server, endpoint, answers=dict(answers))


def bodies(desk, kind):
    return [e.body for e in desk.seen if e.kind == kind]


async def until(condition, seconds=3):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
