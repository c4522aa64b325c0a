# The client against a LwM2M server of another family: lwm2m-node-lib, from npm
# SPDX-License-Identifier: MIT
import shutil
import socket
import subprocess

import pytest
from device import HERE, ROOT
from leshan import LeshanError, Program


class Node(Program):
    """lwm2m-node-lib's server; installed once into build/npm, with the versions of tests/interop/node."""

    main = "node"

    def command(self):
        source = HERE / "node"
        folder = ROOT / "build" / "npm"
        wanted = (source / "package.json").read_text()
        if not (folder / "installed").exists() or (folder / "installed").read_text() != wanted:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / "package.json", folder)
            subprocess.run(
                [
                    "npm",
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--no-package-lock",
                    "--ignore-scripts",
                ],
                cwd=folder,
                check=True,
                timeout=300,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            (folder / "installed").write_text(wanted)
        # The library wants its port told; nobody else takes it in the meantime.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # Modules are looked up beside the script, so it goes where they are.
        shutil.copy(source / "server.js", folder)
        return ["node", "--no-warnings", "server.js", str(port)], folder


@pytest.fixture(scope="module")
def node(need):
    need("node", "npm")
    with Node() as server:
        yield server


def test_node_server_manages_the_device(power, node, endpoint):
    device = power()
    # Its proxy passes confirmable notifications on and never acknowledges them.
    device.new(endpoint, node.uri, lifetime=60, version="1.0", confirmable=False)
    device.set("/3/0/0", "Maker")
    device.hook("on_exec", "/3/0/4")
    device.start()
    registered = node.wait("registered", endpoint=endpoint)
    assert (registered.lifetime, registered.version, registered.binding) == (60, "1.0", "U")
    assert {"</1/0>", "</3/0>"} <= {link.split(";")[0] for link in registered.links.split(",")}
    device.wait("REGISTRATION_COMPLETE")

    def ask(op, path, **kw):
        return node.request(op, endpoint=endpoint, path=path, **kw).result

    assert ask("read", "/3/0/0") == "Maker"
    assert ask("write", "/3/0/14", value="+07") == ""
    assert device.get("/3/0/14") == "+07"
    ask("execute", "/3/0/4")
    device.wait("on_exec")
    assert "</3/0/14>" in ask("discover", "/3/0").split(",")
    ask("attributes", "/3/0/14", attributes={"pmin": 0, "pmax": 60})
    assert "</3/0/14>;pmin=0;pmax=60" in ask("discover", "/3/0/14")
    assert ask("observe", "/3/0/14") == "+07"
    device.set("/3/0/14", "+08")
    assert node.wait("notification", endpoint=endpoint).value == "+08"
    with pytest.raises(LeshanError, match="RESOURCE_NOT_FOUND"):
        ask("read", "/77/0/0")
    # Its Location-Path is one option with a slash in it, which comes back as it was.
    device.update()
    node.wait("updated", endpoint=endpoint)
    device.wait("REG_UPDATE_COMPLETE")
    device.stop()
    node.wait("unregistered", endpoint=endpoint)
    device.wait("DISCONNECT")
