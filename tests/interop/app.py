# The client under test in a process of its own, on MicroPython: commands and events as JSON lines
# SPDX-License-Identifier: MIT
# A command is {"id": 1, "op": "set", "args": [...], "kw": {...}}; its answer {"id": 1, "result"} or
# {"id": 1, "error"}. What the client tells by itself is {"event": ...}. Bytes travel as {"hex": "..."}.
import binascii
import json
import os
import select
import sys

from lwm2m import LATER, Client

# How long standard input is waited for while the client has nothing to do, in milliseconds.
_TICK = 10

client = None
returns = {}
firmwares = {}


def pack(v):
    """A value of the client as JSON knows it."""
    if isinstance(v, (bytes, bytearray, memoryview)):
        return {"hex": str(binascii.hexlify(bytes(v)), "ascii")}
    if isinstance(v, dict):
        return {str(k): pack(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [pack(x) for x in v]
    return v


def unpack(v):
    """The reverse; a dictionary's keys are the ids of resource instances."""
    if isinstance(v, dict):
        if "hex" in v:
            return binascii.unhexlify(v["hex"])
        return {int(k): unpack(x) for k, x in v.items()}
    if isinstance(v, list):
        return [unpack(x) for x in v]
    return v


def say(**message):
    print(json.dumps(message))


def heard(name, *args):
    say(event=name, args=pack(args))


def hook(kind, path, value=None):
    """Tell of each call that the client makes for `path`; `value` is what the function returns ("LATER"
    stands for the client's own LATER)."""

    def called(*args):
        say(event=kind, path=args[0], args=pack(args[1:]))
        return returns.get((kind, path))

    returns[kind, path] = LATER if value == "LATER" else unpack(value)
    getattr(client, kind)(path, called)


def files(folder):
    """The client's options that keep in a folder what is to outlive a deep sleep."""

    def load(name):
        try:
            with open(folder + "/" + name, "rb") as f:
                return f.read()
        except OSError:
            return None

    def save(name, data):
        # a power cut leaves the old or the new
        name = folder + "/" + name
        with open(name + ".new", "wb") as f:
            f.write(data)
        os.rename(name + ".new", name)

    return {"load": load, "save": save}


def new(endpoint, uri, tables=(), sensors=False, store=None, **kw):
    """Make the client. `tables` names modules with a TABLE of further objects, `store` a folder to keep things in."""
    global client
    kw = {k: unpack(kw[k]) for k in kw}
    if store:
        kw.update(files(store))
    client = Client(endpoint, uri, **kw)
    for name in tables:
        client.objects(__import__(name, None, None, ("TABLE",)).TABLE)
    if sensors:
        from lwm2m.objects.sensor import setup

        setup(client)
    client.event(heard)


def firmware(folder, instance=0, fail=None, **options):
    """Make an instance of object 5 whose slot is a folder; a restart is an event."""
    from lwm2m.objects.firmware import Firmware
    from packages import FolderSlot

    options = {name: unpack(options[name]) for name in options}
    made = Firmware(client, FolderSlot(folder, fail), instance, **options)
    made.restart = lambda: say(event="restart") or True
    firmwares[instance] = made


def update(name, *args, instance=0):
    """Call a method of a Firmware."""
    return getattr(firmwares[instance], name)(*args)


def give(path, value):
    """Set a value, in an instance that is made if it is not there."""
    instance = "/" + "/".join(path.strip("/").split("/")[:2])
    try:
        client.set(path, unpack(value))
    except KeyError:
        client.create(instance)
        client.set(path, unpack(value))


def locked(values):
    """Set several values, [[path, value], ...], and let one notification tell of them all."""
    with client.lock():
        for path, value in values:
            client.set(path, unpack(value))


def send(paths):
    """Send these resources (Core 1.1.1 6.4.6); the outcome is an event."""
    return client.send(paths, done=lambda *args: say(event="sent", args=pack(args)))


def value(path):
    return pack(client.get(path))


own = {
    "new": new,
    "firmware": firmware,
    "manage": update,
    "give": give,
    "hook": hook,
    "locked": locked,
    "send": send,
    "get": value,
}


def obey(line):
    command = json.loads(line)
    op = command["op"]
    args = command["args"]
    try:
        if op in own:
            result = own[op](*args, **command["kw"])
        else:
            result = getattr(client, op)(*[unpack(x) for x in args], **command["kw"])
        say(id=command["id"], result=pack(result))
    except Exception as e:
        sys.print_exception(e, sys.stderr)
        say(id=command["id"], error=repr(e))


def main():
    lines = select.poll()
    lines.register(sys.stdin, select.POLLIN)
    say(event="ready")
    while True:
        if client is not None:
            client.poll()
        for _, mask in lines.poll(_TICK):
            line = sys.stdin.readline()
            if not line:
                return
            obey(line)


main()
