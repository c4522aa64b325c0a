# The desk server in Leshan's place: LWM2M_SERVER=desk runs the interoperability cases against it
# SPDX-License-Identifier: MIT
"""``Desk`` has the methods and events of ``leshan.Leshan``, with the desk server in a thread of this process."""

import asyncio
import collections
import threading
import time

import aiocoap
from aiocoap import Code, Message
from aiocoap.numbers.types import CON, NON
from aiocoap.options import OptionNumber
from aiocoap.optiontypes import OpaqueOption
from child import Message as Record
from leshan import LeshanError, Peer, build, models

from tools.server import NoAnswer, events, formats
from tools.server.config import Config, Listener
from tools.server.model import ids, join
from tools.server.peer import code, title
from tools.server.service import DeskServer
from tools.server.values import from_json, to_json

FORMATS = {
    "TEXT": formats.TEXT,
    "OPAQUE": formats.OPAQUE,
    "TLV": formats.TLV,
    "JSON": formats.JSON,
    "CBOR": formats.CBOR,
    "SENML_JSON": formats.SENML_JSON,
    "SENML_CBOR": formats.SENML_CBOR,
}
KINDS = ("root", "object", "instance", "single", "resource-instance")
MAX_TRACES = 5000


class Desk:
    """One server, in a thread of its own; its methods are called from the test's."""

    def __init__(self, host6=None, awake=93000, **_):
        build("server")  # its jars have the definition of the test object
        self.options = {"models": models()}
        self._host6, self._awake = host6, awake / 1000
        self._arrived = threading.Condition()
        self._events = []
        self._traces = collections.deque(maxlen=MAX_TRACES)
        self._ids, self._links = {}, {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_):
        self._call(self.desk.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine, timeout=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    async def _start(self):
        listeners = [Listener("coap", port=0), Listener("coaps", port=0)]
        if self._host6:
            listeners.append(Listener("coap", self._host6, 0))
        config = Config(
            listeners=listeners,
            awake_window=self._awake,
            xml=(str(self.options["models"] / "3442.xml"),),
        )
        self.desk = await DeskServer(config).start()
        ports = [each.listener.port for each in self.desk.server.listening]
        self.port, self.secure_port, self.port6 = [*ports, 0][:3]
        self.desk.server.taps.append(self._happened)
        self.desk.events.subscribe(self._status, {events.STATUS})
        for each in self.desk.server.listening:
            self._tap(each.tokens.token_interface, each.interface)

    @property
    def uri(self):
        return f"coap://127.0.0.1:{self.port}"

    @property
    def secure_uri(self):
        return f"coaps://127.0.0.1:{self.secure_port}"

    def peer(self, endpoint):
        return Peer(self, endpoint)

    # What has arrived

    def _emit(self, name, /, **members):
        with self._arrived:
            self._events.append(_record({"event": name, **members}))
            self._arrived.notify_all()

    def wait(self, event, timeout=5, **match):
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                for each in self._events:
                    if each.event == event and all(each.get(k) == v for k, v in match.items()):
                        self._events.remove(each)
                        return each
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no event {event} {match} within {timeout} s")
                self._arrived.wait(left)

    def take(self, event, **match):
        def wanted(each):
            same = all(each.get(k) == v for k, v in match.items())
            return same and event in (None, each.event)

        with self._arrived:
            taken = [each for each in self._events if wanted(each)]
            self._events = [each for each in self._events if not wanted(each)]
        return taken

    def silent(self, event, seconds, **match):
        try:
            got = self.wait(event, seconds, **match)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected {got}")

    def trace(self, port=None):
        with self._arrived:
            return [each for each in self._traces if port in (None, each.peer)]

    def _tap(self, messages, interface):
        received, send = messages.dispatch_message, interface.send

        def dispatch_message(message):
            self._message("in", message)
            return received(message)

        def sending(message):
            self._message("out", message)
            return send(message)

        messages.dispatch_message, interface.send = dispatch_message, sending

    def _message(self, direction, message):
        found = {"direction": direction, "peer": message.remote.sockaddr[1], **_coap(message)}
        with self._arrived:
            self._traces.append(_record(found))

    def _happened(self, event):
        name, device = event.endpoint, event.device
        if event.kind == "register":
            before = self._ids.get(name)
            self._ids[name], self._links[name] = device.record().id, device.links
            self._emit("registered", replaced=before, **self._registration(device))
        elif event.kind == "update":
            links = None if device.links is self._links[name] else _links(device.links)
            self._links[name] = device.links
            lifetime = event.detail.get("lt")
            changes = {
                "lifetime": None if lifetime is None else int(lifetime),
                "binding": event.detail.get("b"),
                "links": links,
            }
            self._emit("updated", changes=changes, **self._registration(device))
        elif event.kind in ("deregister", "expire"):
            self._ids.pop(name, None)
            names = {"deregister": "unregistered", "expire": "expired"}
            self._emit(names[event.kind], **self._registration(device))
        elif event.kind == "data":
            self._data(event)

    def _data(self, event):
        reported = event.detail
        content = {path: to_json(value, path) for path, _, value in reported.values}
        if reported.source == "send":
            times = [
                {"time": at, "content": {path: to_json(value, path)}}
                for path, at, value in reported.values
            ]
            # Leshan tells the format as well, and one of the two is all that Send has.
            self._emit(
                "send",
                endpoint=event.endpoint,
                content=content,
                timestamped=times,
                format=formats.SENML_CBOR,
            )
        elif reported.source == "notify":
            answer = self._answer(reported.answer)
            path = {"path": reported.paths[0]} if len(reported.paths) == 1 else {}
            self._emit(
                "notification",
                endpoint=event.endpoint,
                observation=reported.token,
                **path,
                **answer,
            )

    def _status(self, event):
        name = {"connected": "awake", "sleeping": "sleeping"}.get(event.body["status"])
        if name:
            self._emit(name, endpoint=event.endpoint)

    def _registration(self, device):
        record = device.record()
        instances = [path for path in record.links if len(ids(path)) == 2]
        return {
            "endpoint": record.endpoint,
            "registration": record.id,
            "version": record.version,
            "lifetime": record.lifetime,
            "binding": record.binding,
            "queue": record.queue,
            "root": record.root + "/",
            "address": record.address[0],
            "port": record.address[1],
            "scheme": record.listener.partition(":")[0],
            "identity": record.identity,
            "links": _links(record.links),
            "instances": sorted(instances),
            # Leshan counts what the version demands.
            "formats": sorted({*record.formats, formats.TLV}),
        }

    # Requests

    def request(self, op, timeout=5, **members):
        request = Record({"op": op, **members})
        try:
            return _record(self._call(self._obey(request, timeout), timeout + 5))
        except (NoAnswer, ValueError, LookupError) as e:
            raise LeshanError(f"{op} {members}: {e}") from None

    async def _obey(self, request, timeout):
        server, endpoint = self.desk.server, request.endpoint
        if request.op == "security-add":
            settings = {"identity": request.identity, "key": request.key}
            self.desk.put_endpoint(endpoint, settings if request.identity else {})
            return {}
        device = server.devices.get(endpoint)
        if request.op == "client":
            return {"client": self._registration(device) if device else None}
        if device is None:
            raise LookupError(f"not registered: {endpoint}")
        if not device.reachable:
            raise LookupError("ClientSleepingException")
        device.timeout = timeout
        method = getattr(self, "_" + request.op.replace("-", "_"))
        return await method(device, request)

    def _answer(self, answer):
        found = {
            "code": answer.code,
            "name": title(answer.message).upper().replace(" ", "_"),
            "success": answer.ok,
            "format": answer.format,
            "coap": _coap(answer.message),
        }
        if answer.location:
            found["location"] = answer.location
        if answer.ok and answer.format != formats.LINK and answer.message.payload:
            found["content"] = {p: to_json(v, p) for p, _, v in answer.readings}
            found["instances"] = sorted(
                {join(ids(p)[:2]) for p, _, _ in answer.readings if len(ids(p)) > 2}
            )
            kind = KINDS[len(ids(answer.path))]
            single = not isinstance(answer.value, dict)
            found["kind"] = kind if kind != "single" or single else "multiple"
        return found

    async def _read(self, device, request):
        return self._answer(await device.read(request.path, _format(request.format)))

    async def _discover(self, device, request):
        answer = await device.discover(request.path)
        return {**self._answer(answer), "links": _links(answer.value or {})}

    def _value(self, path, value):
        """From JSON: keys are numbers, opaque values hexadecimal."""
        if isinstance(value, dict):
            return {int(k): self._value(f"{path}/{k}", v) for k, v in value.items()}
        return from_json(self.desk.model.type(path), value, path)

    async def _write(self, device, request):
        value = self._value(request.path, request.value)
        update = request.mode == "update"
        format = _format(request.format)
        return self._answer(await device.write(request.path, value, format, update=update))

    async def _attributes(self, device, request):
        return self._answer(await device.attributes(request.path, **request.attributes))

    async def _execute(self, device, request):
        return self._answer(await device.execute(request.path, request.args or ""))

    async def _create(self, device, request):
        oid = ids(request.path)[0]
        if request.instances:
            value = {int(i): self._value(f"/{oid}/{i}", v) for i, v in request.instances.items()}
            format = _format(request.format) or formats.TLV
            payload = formats.encode(format, f"/{oid}", value, self.desk.model)
            answer = await device.request("POST", f"/{oid}", payload=payload, format=format)
            return self._answer(answer)
        base = request.path if len(ids(request.path)) > 1 else f"/{oid}/0"
        value = self._value(base, request.value)
        return self._answer(await device.create(request.path, value, _format(request.format)))

    async def _delete(self, device, request):
        return self._answer(await device.delete(request.path))

    async def _observe(self, device, request):
        return self._observed(await device.observe(request.path, _format(request.format)))

    def _observed(self, observation):
        answer = self._answer(observation.answer)
        if observation.active:
            answer["observation"] = observation.token.hex()
        return answer

    async def _cancel(self, device, request):
        observation = device.observation(request.observation)
        if request.active:
            return self._answer(await observation.cancel())
        observation.reset()
        return {}

    async def _observations(self, device, request):
        return {"observations": [o.token.hex() for o in device.observations]}

    async def _read_composite(self, device, request):
        answer = await device.read_composite(request.paths, _format(request.nodeformat))
        return self._answer(answer)

    async def _observe_composite(self, device, request):
        format = _format(request.nodeformat)
        return self._observed(await device.observe_composite(request.paths, format))

    async def _write_composite(self, device, request):
        tree: dict = {}
        for path, value in request["values"].items():
            node, numbers = tree, ids(path)
            for number in numbers[:-1]:
                node = node.setdefault(number, {})
            node[numbers[-1]] = self._value(path, value)
        return self._answer(await device.write_composite(tree, _format(request.nodeformat)))

    async def _forget(self, device, request):
        """As a server that was restarted without its store: it says nothing to the client."""
        server, taps = self.desk.server, self.desk.server.taps
        server.taps = []
        server.end(device.endpoint)
        server.taps = taps
        self._ids.pop(device.endpoint, None)
        return {}

    async def _awake(self, device, request):
        return {"awake": device.reachable}

    async def _coap(self, device, request):
        message = Message(
            code=getattr(Code, request.method),
            uri_path=[part for part in request.path.split("/") if part],
            _mtype=NON if request.type == "NON" else CON,
            transport_tuning=device.server.tuning,
        )
        message.remote = device.remote
        opt = message.opt
        opt.uri_query = request.query or ()
        opt.content_format, opt.accept = _format(request.format), _format(request.accept)
        opt.observe = request.observe
        if request.block2 is not None:
            opt.block2 = (0, False, request.block2)
        for number, value in request.options or ():
            opt.add_option(OpaqueOption(OptionNumber(number), bytes.fromhex(value)))
        message.payload = bytes.fromhex(request.payload or "")
        context = device.server.context
        sent = context.request(message, handle_blockwise=False)
        answer = await device._within(sent.response)
        answer = await device.rest(message, answer)
        found = {**_coap(answer), "success": answer.code.is_successful()}
        if answer.opt.location_path:
            found["location"] = "/".join(answer.opt.location_path)
        return found

    async def _ping(self, device, request):
        done = self._loop.create_future()
        messages = device.tokens.token_interface
        ping = Message(_mtype=CON, _mid=messages._next_message_id(), code=aiocoap.EMPTY)
        ping.remote = device.remote
        messages._send_initially(ping, lambda: done.done() or done.set_result(True))
        return {"reset": await asyncio.wait_for(done, device.timeout)}


def _format(name):
    return FORMATS.get(name, name) if isinstance(name, str) else name


def _coap(message):
    """A message in the words of Californium."""
    format = message.opt.content_format
    payload = message.payload or b""  # aiocoap's own empty messages have text
    return {
        "type": message.mtype.name if message.mtype is not None else None,
        "mid": message.mid,
        "code": code(message),
        "token": message.token.hex(),
        "format": None if format is None else int(format),
        "observe": message.opt.observe,
        "payload": payload.hex(),
    }


def _links(links):
    """[{"path", "attributes"}]; numbers are numbers."""

    def number(text):
        try:
            return int(text) if text.lstrip("-").isdecimal() else float(text)
        except ValueError:
            return text or None

    return [
        {"path": path, "attributes": {k: number(v) for k, v in attributes.items()}}
        for path, attributes in links.items()
    ]


def _record(value):
    """Nested objects with readable attributes, as those of a child are."""
    if isinstance(value, dict):
        return Record({k: _record(v) for k, v in value.items()})
    return [_record(v) for v in value] if isinstance(value, list) else value
