# What the client's everyday work costs on a Cortex-M3: runs on the emulated board, by `make bench`
# SPDX-License-Identifier: MIT
client = None
mid = 100


def boot():
    """From nothing to registered: the imports are in it."""
    global client
    from lwm2m import Client

    client = Client("urn:imei:860000000000001", "coap://server.example", transport=Wire)
    register(client)


def request(code, path, options=b"", payload=b"", observe=False):
    """Lays a confirmable request into the inbox; paths have segments of one digit each, or of any bytes."""
    global mid
    mid += 1
    d = bytes((0x41, code, mid >> 8, mid & 255, mid & 255))
    last = 0
    if observe:
        d += b"\x60"
        last = 6
    for segment in path.split("/")[1:]:
        d += bytes(((11 - last) << 4 | len(segment),)) + segment.encode()
        last = 11
    Wire.last.inbox.append(d + options + (b"\xff" + payload if payload else b""))


def serve():
    """Takes in what is in the inbox; the answer goes to the wire."""
    client.poll()


def measure(name, *how, **more):
    # The first one warms up: code is loaded, buffers grow to their size.
    request(*how, **more)
    serve()
    request(*how, **more)
    case(name, serve, cold=True)


case("boot to registered", boot, cold=True)
case("idle poll", serve)
measure("read /3/0/0", 1, "/3/0/0")
measure("read /3/0 in TLV", 1, "/3/0")
measure("read /3", 1, "/3")
measure("discover /3/0", 1, "/3/0", options=b"\x61\x28")
measure(
    "write /1/1/1 as text",
    3,
    "/1/1/1" if 1 in client.tree.objects[1] else "/1/0/1",
    options=b"\x10",
    payload=b"300",
)
measure("not there: /3/7", 1, "/3/7")
measure("write attributes /3/0/13", 3, "/3/0/13", options=b"\x46pmin=0")
measure("observe /3/0/0", 1, "/3/0/0", observe=True)


def change(value):
    client.set("/3/0/0", value)


change("warm")
serve()
case("notify of a change", lambda: (change("other"), serve()), cold=True)
