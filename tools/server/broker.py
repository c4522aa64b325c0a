# The MQTT broker that can run inside the desk server: amqtt, for users without a broker of their own
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, field

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session


class Password(BaseAuthPlugin):
    """Lets in who knows the user name and the password."""

    @dataclass
    class Config:
        username: str = ""
        password: str = field(default="", repr=False)

    async def authenticate(self, *, session: Session) -> bool:
        given = f"{session.username or ''}\0{session.password or ''}"
        wanted = f"{self.context.config.username}\0{self.context.config.password}"
        return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


async def embedded(host: str, port: int, username: str = "", password: str = "") -> Broker:
    """A running broker; with a user name, only for who has it. OSError where it cannot listen."""
    plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin", {"allow_anonymous": True}
    if username:
        plugin = f"{__name__}.Password", {"username": username, "password": password}
    # The broker logs every client's coming and going as a warning.
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    listeners = {"default": {"type": "tcp", "bind": bind}}
    broker = Broker({"listeners": listeners, "plugins": dict([plugin])})
    try:
        await broker.start()
    except Exception as error:
        raise OSError(f"no MQTT broker can listen at {bind}: {error}") from error
    return broker
