# Types of the client's public names, for editors: `make lint` compares them with the code
# SPDX-License-Identifier: MIT
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

from .objects.access import Access
from .objects.firmware import Firmware

Value: TypeAlias = str | int | float | bool | bytes | tuple[int, int]
# Any: a dict[int, int] is none of Value
Values: TypeAlias = Value | dict[int, Any] | list[Any] | None
Event: TypeAlias = Literal[
    "NONE",
    "BOOTSTRAP_REG_FAILURE",
    "BOOTSTRAP_REG_COMPLETE",
    "BOOTSTRAP_TRANSFER_COMPLETE",
    "REGISTRATION_FAILURE",
    "REGISTRATION_COMPLETE",
    "REG_TIMEOUT",
    "REG_UPDATE_COMPLETE",
    "DEREGISTER_FAILURE",
    "DISCONNECT",
    "QUEUE_MODE_RX_OFF",
    "ENGINE_SUSPENDED",
    "SERVER_DISABLED",
    "NETWORK_ERROR",
    "REG_UPDATE",
    "DEREGISTER",
    "CONNECT",
    "CONNECT_FAILURE",
    "SECURE",
    "SECURE_FAILURE",
    "BOOTSTRAP",
    "REGISTRATION",
    "CLIENT_ERROR",
    "FIRMWARE_STATE",
    "FIRMWARE_PROGRESS",
    "FIRMWARE_UPDATE",
]

class CoapError(Exception):
    """Refuses a request with the response code in args[0], as RFC 7252 numbers it: 0x84 is 4.04."""

LATER: Any  # any function of the application but those of on_stream() may return it

class Channel(Protocol):
    """What `transport` gives: whole datagrams to and from one server, never blocking.

    send() copies what it keeps of buf[start:end], and raises nothing where it is lost."""

    def send(self, buf: bytes | bytearray, start: int, end: int) -> object: ...
    def recv(self) -> bytes | None: ...
    def close(self) -> object: ...

class Client:
    """A LwM2M client. Each keyword of the constructor is an attribute too; times are in seconds."""

    lifetime: int
    binding: str
    version: str | None
    retry: bool
    ssid: int
    identity: str | bytes
    key: str | bytes
    alternate_path: str
    max_message_size: int
    min_lifetime: int
    update_early: int
    update_period: int
    queue: bool
    awake_time: int
    bootstrap_timeout: int
    max_instances: int
    default_format: int
    confirmable: bool
    local_port: int
    transport: Callable[[str, int], Channel] | None
    load_credentials: Callable[[int], tuple[str | bytes, str | bytes]] | None
    set_socketoptions: Callable[[Any], object] | None
    load: Callable[[str], bytes | None] | None
    save: Callable[[str, bytes], object] | None
    access: Access | None
    taps: list[Callable[[Any], object]]
    pollers: list[Callable[[int], int]]
    endpoint: str | None
    suspended: bool
    tree: Any  # for objects of one's own: docs/api.md, Objects

    def __init__(
        self,
        endpoint: str | None = None,
        uri: str | None = None,
        *,
        lifetime: int = 86400,
        binding: str = "U",
        version: str | None = None,
        retry: bool = True,
        ssid: int = 1,
        identity: str | bytes = "",
        key: str | bytes = "",
        alternate_path: str = "",
        max_message_size: int = 576,
        min_lifetime: int = 1,
        update_early: int = 30,
        update_period: int = 0,
        queue: bool = False,
        awake_time: int = 93,
        bootstrap_timeout: int = 247,
        max_instances: int = 32,
        default_format: int = 11542,
        confirmable: bool = True,
        local_port: int = 0,
        transport: Callable[[str, int], Channel] | None = None,
        load_credentials: Callable[[int], tuple[str | bytes, str | bytes]] | None = None,
        set_socketoptions: Callable[[Any], object] | None = None,
        load: Callable[[str], bytes | None] | None = None,
        save: Callable[[str, bytes], object] | None = None,
        ack_timeout: int = 2000,
        random_factor: int = 1500,
        max_retransmit: int = 4,
        nstart: int = 1,
        szx: int = 5,
    ) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None: ...
    def set(self, path: str, value: Values) -> None: ...
    def get(self, path: str) -> Any: ...
    def exec(self, path: str, args: bytes = b"") -> None: ...
    def create(self, path: str) -> str: ...
    def delete(self, path: str) -> None: ...
    def objects(self, table: bytes) -> None: ...
    # an int that a function returns: True agrees, False is 4.00, from 0x80 on it is a CoAP code
    def on_read(self, path: str, fn: Callable[[str, Any], Any] | None) -> None: ...
    def on_write(self, path: str, fn: Callable[[str, Any], int | None] | None) -> None: ...
    def on_exec(self, path: str, fn: Callable[[str, bytes], Any] | None) -> None: ...
    def on_create(self, path: str, fn: Callable[[str, None], int | None] | None) -> None: ...
    def on_delete(self, path: str, fn: Callable[[str, None], int | None] | None) -> None: ...
    def on_stream(
        self, path: str, fn: Callable[[str, int, memoryview, int], int | None] | None
    ) -> None: ...
    def validate(self, path: str, fn: Callable[[str, Any], int | None] | None) -> None: ...
    def answer(self, path: str, value: Any = None) -> None: ...
    def cache(self, path: str, n: int, oldest: bool = False) -> None: ...
    def send(
        self, paths: str | Iterable[str], done: Callable[[int], object] | None = None
    ) -> int: ...
    def lock(self) -> Client: ...
    def observations(self) -> list[tuple[str, int, int, int]]: ...
    def on_server_write(self, fn: Callable[[int, int, int, Any], object]) -> None: ...
    def event(self, fn: Callable[[Event, int], object]) -> None: ...
    def start(self, endpoint: str | None = None, bootstrap: bool = False) -> None: ...
    def stop(self, force: bool = False) -> Literal[False] | None: ...
    def pause(self) -> Literal[False] | None: ...
    def resume(self) -> None: ...
    def update(self, ssid: int = 0) -> bool: ...
    def stat(self) -> Literal[0, 1, 2, 3, 4]: ...
    def active(self) -> bool: ...
    def poll(self, now: int | None = None) -> int: ...
    def run(self) -> None: ...

class Lwm2m:
    """The object of QuecPython's module `lwm2m`; returns are 0, -1 or -2."""

    Security: int
    Server: int
    Epnamemode: int
    Urc: int
    Fota: int
    Reset: int
    Epname: int
    client: Client
    firmware: Sequence[Firmware]
    def init(self) -> int: ...
    def config(self, kind: int, values: list[Any]) -> int: ...
    def register(self) -> int: ...
    def unregister(self) -> int: ...
    def update(self, ssid: int) -> int: ...
    def stat(self) -> int: ...
    def poll(self) -> int:
        """Where there are no threads: do what is due; ms until more is, or -1."""
    def run(self) -> None:
        """Where there are no threads: go on until there is nothing more to do."""
    def register_call(self, usrfun: Callable[[list[Any]], object] | None) -> int: ...

def lwm2m() -> Lwm2m: ...
