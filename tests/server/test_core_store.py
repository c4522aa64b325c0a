# The store: what it keeps, what it refuses, and who may read its file.
# SPDX-License-Identifier: MIT

import math
import stat

import pytest

from tools.server.store import (
    ALTERNATE,
    PRIMARY,
    Command,
    Credential,
    Endpoint,
    Observed,
    Registration,
    Store,
    StoreError,
)


@pytest.fixture
def store():
    made = Store(queue_size=3)
    yield made
    made.close()


def test_records_come_back_as_they_were(tmp_path):
    path = tmp_path / "desk.db"
    endpoint = Endpoint("naïve '\"", thumbprints=["00"], bootstrap={"servers": []}, notes="x")
    links = {"/3/0": {"ver": "1.1"}}
    registration = Registration(
        endpoint.name, ("rd", "5"), ("::1", 5), query={"ep": "x"}, links=links, formats=[60]
    )
    observed = Observed(endpoint.name, "ff", ["/3/0"], True, 112, 5, {"mine": [1]}, 1.5)
    arguments = {"payload": b"\0\xff", "value": {3: {0: math.inf}}, "path": "/3"}
    store = Store(str(path))
    store.put_endpoint(endpoint)
    store.put_registration(registration)
    store.put_observation(observed)
    number = store.put_command(Command(endpoint.name, "write", arguments, {"a": 1}, ["/3"], 5.0))
    store.put_values(endpoint.name, [("/3/0/0", "x"), ("/3/0/9", 5), ("/30/0/1", b"\1")], 7.0)
    store.put_document("xml", "a", b"\0")
    store.close()
    # It holds keys.
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store = Store(str(path))
    assert store.endpoints() == [endpoint] == [store.endpoint(endpoint.name)]
    assert store.registrations() == [registration]
    assert store.observations(endpoint.name) == [observed]
    (command,) = store.commands(endpoint.name)
    assert (command.number, command.arguments, command.paths) == (number, arguments, ["/3"])
    assert list(store.values(endpoint.name, "/3")) == [("/3/0/0", "x", 7.0), ("/3/0/9", 5, 7.0)]
    assert store.documents("xml") == {"a": b"\0"}
    assert store.remove_endpoint(endpoint.name)
    assert not (store.registrations() or store.commands(endpoint.name))
    assert list(store.values(endpoint.name)) == []
    store.close()


def test_an_older_value_does_not_replace_a_newer_one(store):
    store.put_values("dev", [("/3/0/9", 2)], 20.0)
    store.put_values("dev", [("/3/0/9", 1)], 10.0)
    assert list(store.values("dev")) == [("/3/0/9", 2, 20.0)]
    store.put_values("dev", [("/3/0/90", 3), ("/3/0/9/0", 4)], 20.0)
    store.remove_values("dev", "/3/0/9")
    assert [path for path, _, _ in store.values("dev")] == ["/3/0/90"]


def test_commands_keep_their_order_and_have_a_bound(store):
    numbers = [store.put_command(Command("dev", "read", {"n": n})) for n in range(3)]
    assert numbers == sorted(numbers)
    with pytest.raises(StoreError, match="3 commands are queued"):
        store.put_command(Command("dev", "read", {}))
    store.put_command(Command("other", "read", {}, expires=5.0))
    assert store.remove_command(numbers[1]) and not store.remove_command(numbers[1])
    assert [c.arguments["n"] for c in store.commands("dev")] == [0, 2]
    assert [c.endpoint for c in store.take_expired(6.0)] == ["other"]
    assert store.take_expired(6.0) == []


def test_identities_belong_to_one_endpoint(store):
    store.put_credential(Credential("b", "dev", b"k", ALTERNATE))
    store.put_credential(Credential("a", "dev", b"secret", PRIMARY))
    assert [c.kind for c in store.credentials("dev")] == [PRIMARY, ALTERNATE]
    assert "secret" not in repr(store.credential("a"))
    with pytest.raises(StoreError, match="another endpoint"):
        store.put_credential(Credential("a", "other", b"k"))
    store.put_endpoint(Endpoint("dev", thumbprints=["ab"]))
    assert store.by_thumbprint("ab").name == "dev" and store.by_thumbprint("cd") is None


def test_files_that_are_no_store(tmp_path):
    for content in (b"text" * 1000, None):
        path = tmp_path / ("wrong" if content else "none/desk.db")
        if content:
            path.write_bytes(content)
        with pytest.raises(StoreError, match=str(path)):
            Store(str(path))
