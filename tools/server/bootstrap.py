# Bootstrap: what a device is to be provisioned with, and the session that does it.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from . import formats
from .peer import Answer, NoAnswer, Peer, PeerServer

NOSEC = 3
FINISHED = "finished"
ALREADY_GONE = "4.04"  # to a Delete of what is not there


@dataclass
class BootstrapConfig:
    """The steps of a bootstrap, in this order: discover, read, delete, write, finish.

    delete    "/" would remove the instances of a device's own objects too
    objects   {path of an instance or resource: value}, as Peer.write takes it
    refuse    a code, such as "4.03", that answers the Bootstrap-Request instead
    finish    False ends the session without Bootstrap-Finish
    delay     seconds between the answer to the request and the first step
    timeout   seconds that each step may take; 0 is the server's
    prepare   async fn(session) that may fill in the steps when it knows the device; raises NoAnswer
    done      fn(succeeded) at the end
    """

    objects: dict[str, object] = field(default_factory=dict)
    delete: list[str] = field(default_factory=lambda: ["/0", "/1"])
    discover: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    format: str | int = formats.TLV
    refuse: str = ""
    finish: bool = True
    delay: float = 0.0
    timeout: float = 0.0
    prepare: Callable[[Session], Awaitable[None]] | None = None
    done: Callable[[bool], None] | None = None

    @classmethod
    def account(
        cls,
        uri: str,
        ssid: int = 1,
        lifetime: int = 86400,
        binding: str = "U",
        *,
        bootstrap_uri: str = "",
        server: dict | None = None,
        security: dict | None = None,
        **options,
    ) -> BootstrapConfig:
        """A NoSec account of one server; `server` and `security` add or replace resources.

        With `bootstrap_uri` the account of the bootstrap server is written again too, as /0/0.
        """
        account = {
            0: uri,
            1: False,
            2: NOSEC,
            3: b"",
            4: b"",
            5: b"",
            10: ssid,
            **(security or {}),
        }
        objects = {"/0/1": account}
        if bootstrap_uri:
            objects["/0/0"] = {0: bootstrap_uri, 1: True, 2: NOSEC, 3: b"", 4: b"", 5: b""}
        objects["/1/0"] = {0: ssid, 1: lifetime, 6: True, 7: binding, **(server or {})}
        return cls(objects=dict(sorted(objects.items())), **options)


class Session(Peer):
    """One bootstrap of one device. `answers` has [(what, Answer)] of each step so far."""

    def __init__(self, server: PeerServer, endpoint: str, remote, config: BootstrapConfig):
        super().__init__(server, endpoint, remote)
        self.config = config
        self.answers: list[tuple[str, Answer]] = []
        self.timeout = config.timeout or self.timeout
        self.outcome = ""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        # The answer to the request goes out before the first step even without a delay.
        await asyncio.sleep(self.config.delay)
        outcome = "cancelled"
        try:
            outcome = await self._steps()
        except (NoAnswer, ValueError) as e:
            outcome = str(e)
        except Exception as e:  # a hook of the user's
            self.server.log.exception("the bootstrap of %s failed", self.endpoint)
            outcome = f"{type(e).__name__}: {e}"
        finally:
            self.outcome, self.closed = outcome, True
            if self.config.done:
                self.config.done(outcome == FINISHED)
        if outcome != FINISHED:
            self.server.say(self.endpoint, f"-- bootstrap: {outcome}")
        self.server.happened("bootstrapped", self.endpoint, self, outcome)

    async def _steps(self) -> str:
        config = self.config
        if config.prepare:
            await config.prepare(self)
        for path in config.discover:
            self.answers.append((f"discover {path}", await self.discover(path)))
        for path in config.read:
            self.answers.append((f"read {path}", await self.read(path)))
        for path in config.delete:
            self._expect(f"delete {path}", await self.delete(path), also=ALREADY_GONE)
        for path, value in config.objects.items():
            self._expect(f"write {path}", await self.write(path, value, config.format))
        if not config.finish:
            return "left without finish"
        self._expect("finish", await self.finish())
        return FINISHED

    def _expect(self, what: str, answer: Answer, also: str = "") -> None:
        self.answers.append((what, answer))
        if not answer.ok and answer.code != also:
            raise NoAnswer(f"{what} answered {answer.code}")

    async def finish(self) -> Answer:
        """Bootstrap-Finish."""
        return await self.request("POST", "/bs", verb="Bootstrap-Finish")
