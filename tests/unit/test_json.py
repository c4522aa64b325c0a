# The JSON of LwM2M 1.0 (Core 1.0.2 6.4.4): the examples of the specification, types, malformed data
# SPDX-License-Identifier: MIT

from link import Link
from link import json as host
from codec import *
from lwm2m.formats import json, senml_json
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


# what json.loads() takes on some MicroPython, or on all: brackets, commas, colons, escapes, numbers, ends
NO_JSON = (
    b"[1}",
    b'{"y":1]',
    b"[[1]}",
    b"[1 2]",
    b"[1,,2]",
    b"[,1]",
    b"[1,]",
    b"[1:2]",
    b'{"y",1}',
    b'{"y":1,}',
    b'{"y":1 "z":2}',
    b'{"y":1:2}',
    b'{"y"}',
    b'{"y":}',
    b"{y:1}",
    b"{1:1}",
    b'["a"1]',
    b"[1]2",
    b"[truefalse]",
    b"[nul]",
    b"[True]",
    b"[01]",
    b"[-]",
    b"[+1]",
    b"[1.]",
    b"[.5]",
    b"[1e]",
    b"[1e+]",
    b"[0x10]",
    b'["\\q"]',
    b'["\\u12g4"]',
    b'["\\u12"]',
    b'["a\x1f"]',
    b"['a']",
    b"[1",
    b'["a',
    b"[" * 40 + b"]" * 40,
)
IS_JSON = (
    b"[]",
    b"{}",
    b'[ 1 , -0 , 0.5 , -12.25e+2, 1E2, true,false , null , "" ]',
    b'{"y":{"z":[[],{}]},"":[{}]}',
    b'["\\u00e9\\n\\"\\\\\\/", "]}"]',
)


def test_what_is_no_json():
    t = tree()
    for fmt, around in (
        (json, b'{"bn":"/1000/0/","x":%s,"e":[{"n":"2","v":5}]}'),
        (json, b'{"bn":"/1000/0/","e":[{"n":"2","x":%s,"v":5}]}'),
        (json, b'{"e":[{"n":"2","v":5}],"bn":"/1000/0/","x":%s}'),
        (senml_json, b'[{"bn":"/1000/0/","n":"2","v":5,"x":%s}]'),
    ):
        for part in IS_JSON:
            assert decode(fmt, t, "/1000/0", around % part) == [(0, 2, -1, 5)], (around, part)
        for part in NO_JSON:
            assert bad(fmt, t, "/1000/0", around % part), (around, part)
    record = b'{"n":"/1000/0/2","v":5}'
    for before, between, behind in (
        (b"[", b"", b"]"),
        (b"[,", b",", b"]"),
        (b"[", b",", b",]"),
        (b"[", b",,", b"]"),
        (b"[", b",", b"}"),
        (b"[", b",", b"]]"),
        (b"[", b",", b"] x"),
        (b"[", b",", b"]\0"),
        (b"[", b",", b""),
        (b"x[", b",", b"]"),
    ):
        pack = before + record + between + record + behind
        assert bad(senml_json, t, "/1000/0", pack), pack
        assert bad(json, t, "/1000/0", b'{"e":' + pack + b"}"), pack
    # the array is that of the name "e", wherever it stands
    data = b'{"x":[{"n":"/1000/0/2","v":7}],"e":[%s]}' % record
    assert decode(json, t, "/1000/0", data) == [(0, 2, -1, 5)]


def test_a_write_that_is_no_json():
    link = Link()
    for number in (110, 11543):
        for value, code in (("[1}", 0x80), ("[1]", 0x44)):
            body = '{"n":"/3/0/14","%s":"+09:00","x":%s}' % (
                "vs" if number == 110 else "sv",
                value,
            )
            body = "[%s]" % body if number == 110 else '{"e":[%s]}' % body
            link.client.set("/3/0/14", "Z")
            assert link.server.put("/3/0/14", body.encode(), number).code == code, body
            assert link.client.get("/3/0/14") == ("Z" if code == 0x80 else "+09:00")


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
