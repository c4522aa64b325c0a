# The JSON of LwM2M 1.0 (Core 1.0.2 6.4.4): the examples of the specification, types, malformed data
# SPDX-License-Identifier: MIT

from link import json as host
from codec import *
from lwm2m.formats import json
from test_senml import device, full, values

# Core 1.0.2 6.4.4: the device object, its instance being part of the request
DEVICE_JSON = (
    b'{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"1","sv":"Lightweight M2M Client"},'
    b'{"n":"2","sv":"345000123"},{"n":"3","sv":"1.0"},{"n":"6/0","v":1},{"n":"6/1","v":5},'
    b'{"n":"7/0","v":3800},{"n":"7/1","v":5000},{"n":"8/0","v":125},{"n":"8/1","v":900},'
    b'{"n":"9","v":100},{"n":"10","v":15},{"n":"11/0","v":0},{"n":"13","v":1367491215},'
    b'{"n":"14","sv":"+02:00"},{"n":"16","sv":"U"}]}'
)


def test_device_object():
    t = device()
    assert encode(json, t, "/3/0") == DEVICE_JSON
    assert decode(json, t, "/3/0", DEVICE_JSON) == values(t, 3)


def test_base_name_is_the_path():
    t = device()
    for path, d in (
        ("/3/0/0", b'{"bn":"/3/0/0","e":[{"sv":"Open Mobile Alliance"}]}'),
        ("/3/0/7", b'{"bn":"/3/0/7/","e":[{"n":"0","v":3800},{"n":"1","v":5000}]}'),
        ("/3/0/7/1", b'{"bn":"/3/0/7/1","e":[{"v":5000}]}'),
    ):
        assert encode(json, t, path) == d
        assert decode(json, t, path, d)
    assert encode(json, t, "/3").startswith(b'{"bn":"/3/","e":[{"n":"0/0","sv":"Open')
    assert encode(json, t, "/3", 16) == encode(json, t, "/3")
    assert encode(json, t, "/1000/0") == b'{"bn":"/1000/0/","e":[]}'


def test_all_types():
    t = full()
    d = encode(json, t, "/1000")
    assert decode(json, t, "/1000", d) == values(t)
    x = host.loads(d)["e"]
    assert [y for y in x if y["n"] == "0/5"][0]["sv"].startswith("AAECAwQFBgcICQ")
    assert [y for y in x if y["n"] == "0/7"][0]["ov"] == "3:65535"
    assert [y for y in x if y["n"] == "0/4"][0]["bv"] is True


def test_other_forms():
    t = tree()
    for d in (
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5}]}',
        b'{"bn":"/","e":[{"n":"1000/0/2","v":5}]}',
        b'{"e":[{"n":"/1000/0/2","v":5}]}',
        b'{"e":[{"n":"2","v":5}],"bn":"/1000/0/"}',
        b' { "bn" : "/1000/0/2" , "bt" : 25462634 , "e" : [ { "v" : 5 , "t" : -5 } ] , "x" : [1] } ',
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5.0}]}',
    ):
        assert decode(json, t, "/1000/0/2", d) == [(0, 2, -1, 5)], d
    assert decode(json, t, "/1000/0", b'{"bn":"/1000/0/","e":[]}') == []


def test_refused():
    t = tree()
    for d in (
        b"",
        b"{}",
        b"[]",
        b"[{}]",
        b'{"e":[{"n":"/1000/0/5","sv":[5]}]}',
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5}]',
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5}]}}',
        b'{"bn":"/1000/0/","e":[{"n":"2"}]}',
        b'{"bn":"/1000/0/","e":[{"n":"2","sv":"5"}]}',
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5,"sv":"5"}]}',
        b'{"bn":"/1000/0/","e":[{"n":"1","v":5}]}',
        b'{"bn":"/1000/0/","e":[{"n":"4","v":1}]}',
        b'{"bn":"/1000/0/","e":[{"n":"7","sv":"x"}]}',
        b'{"bn":5,"e":[{"n":"2","v":5}]}',
        b'{"bn":"/1000/0/","e":[5]}',
        b'{"bn":"/1000/0/","e":[{"n":"2","v":5}',
    ):
        assert bad(json, t, "/1000/0", d), d
    d = b'{"bn":"/1000/0/","e":[{"n":"2","v":5}]}'
    for path in ("/1000/1", "/1000/0/3", "/1001"):
        assert bad(json, t, path, d), path
    d = b'{"bn":"/1000/0/","e":[' + b",".join([b'{"n":"2","v":5}'] * 257) + b"]}"
    assert bad(json, t, "/1000/0", d)


def test_malformed_data():
    t = full()
    give(t, "/1000/0/5", b"\x00\x01\x02")
    survive(json, t, "/1000/0", encode(json, t, "/1000/0"))
    survive(json, device(), "/3/0", DEVICE_JSON[:200] + b"]}")


def test_opaque_values_as_base64url():
    # Core 1.0.2 has base64, and later texts the alphabet for names in files, without padding
    t = tree()
    value = b"\xfb\xff\xfe?>"
    for text in ("+//+Pz4=", "-__-Pz4=", "-__-Pz4", "+//+Pz4"):
        d = b'{"bn":"/1000/0/","e":[{"n":"5","sv":"%s"}]}' % text.encode()
        assert decode(json, t, "/1000/0", d) == [(0, 5, -1, value)], text
    give(t, "/1000/0/5", value)
    assert b"+//+Pz4=" in encode(json, t, "/1000/0/5")
    for text in ("+//+Pz4!", "A", "AAAAA", "+/ /"):
        d = b'{"bn":"/1000/0/","e":[{"n":"5","sv":"%s"}]}' % text.encode()
        assert bad(json, t, "/1000/0", d), text
