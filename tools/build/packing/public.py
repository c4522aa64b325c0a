# Which names stay: those that applications see, those of the language, and those that strings spell
# SPDX-License-Identifier: MIT
from __future__ import annotations

import ast
import re
from pathlib import Path

from .source import FUNCTIONS, Package, docstrings

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*$")
_LOOKS = ("getattr", "hasattr", "setattr", "delattr")

# Names of the builtins, modules and methods of nearly every MicroPython: they cost an image nothing.
# Objects of the platform have them, so what is called like one of them is never renamed.
LANGUAGE = tuple(
    """
ArithmeticError AssertionError AttributeError BaseException EOFError Ellipsis Exception GeneratorExit ImportError
IndentationError IndexError KeyError KeyboardInterrupt LookupError MemoryError NameError NoneType
NotImplementedError OSError OverflowError RuntimeError StopAsyncIteration StopIteration SyntaxError SystemExit
TypeError UnicodeError ValueError ZeroDivisionError
abs all any append args argv array bin bool bound_method builtins bytearray bytecode byteorder bytes bytes_at
calcsize callable chr classmethod clear close closure collect complex const copy count decode default delattr
deque dict dict_view dir disable discard divmod enable encode end endswith enumerate errno eval exec exit extend
filter find float flush format from_bytes fromkeys function gc generator get getattr getvalue globals hasattr hash
heap_lock heap_unlock hex id implementation index input insert int intern isalpha isdigit isinstance islower isspace
issubclass issuperset isupper items iter iterator join key keys kbd_intr len list little locals lower lstrip main map
max maxsize mem_alloc mem_free memoryview micropython min module modules name namedtuple next object oct open
opt_level ord pack pack_into path pend_throw platform pop popitem pow print print_exception property range read
readinto readline readlines remove repr replace reverse reversed rfind rindex round rpartition rsplit rstrip schedule
seek send sep set setattr setdefault slice sort sorted split splitlines start startswith staticmethod stdin stdout
step stop str strip struct sum super symmetric_difference sys tell throw to_bytes tuple type union unpack unpack_from
update upper value values version version_info viper write zip
""".split()
)

# Those of them that nobody would give an attribute of a class of his own; so are those of exceptions.
ODD = frozenset(
    """
bound_method bytearray bytecode bytes_at calcsize delattr dict_view from_bytes fromkeys getattr hasattr heap_lock
heap_unlock intern isalpha isdigit isinstance islower isspace issubclass issuperset isupper kbd_intr lstrip maxsize
mem_alloc mem_free memoryview opt_level pack_into pend_throw popitem print_exception rfind rindex rpartition rsplit
rstrip setattr setdefault splitlines staticmethod symmetric_difference to_bytes unpack_from version_info
""".split()
)

# Names that the objects of some platform have, and that the package or an application uses of them.
PLATFORM = frozenset(
    """
AF_INET AF_INET6 AF_UNSPEC CERT_NONE CERT_OPTIONAL CERT_REQUIRED IPPROTO_IP IPPROTO_IPV6 IPPROTO_UDP MODE_CBC
MODE_ECB POLLERR POLLHUP POLLIN POLLOUT PROTOCOL_DTLS_CLIENT PROTOCOL_DTLS_SERVER PROTOCOL_TLS_CLIENT SOCK_DGRAM
SOCK_STREAM SOL_SOCKET SO_BINDTODEVICE SO_REUSEADDR SSLContext WLAN AP_IF STA_IF IF_AP IF_STA a2b_base64 accept
acquire active add addrinfo aes allocate_lock b2a_base64 bind bind_ap block_ioctl block_read boot buffer cancel
cipher config connect connectionLost create_task crc32 current_task decrypt delay deinit detach devGetImei digest
disconnect dumps encrypt errorcode event_loop exception fileno freq fromlist gather get_heap_size get_ident
getaddrinfo getImei getImsi getInfo getIccid getSignal getStatus gethostname getpeername getrandbits getsockopt
gmtime hexdigest hexlify hostname ifconfig ilistdir init ioctl ipconfig ipoll irq isconnected listdir listen load
load_cert_chain load_verify_locations loads localtime lock locked login mac makefile memory mkdir mktime mode
modify modem mount n_fields nodename open_connection patch poll power power_on psk_identity psk_key random readfrom
readinto1 readonly receive recv recv_into recvfrom register release remount rename reset reset_cause return_value
rmdir rssi run rtc scan seed select sendall sendto server_hostname server_side set_ciphers setblocking setCallback
setsockopt settimeout sha1 sha256 shutdown sleep sleep_ms sleep_us sleep_forever socket ssid stack_size stat status
statvfs sync sysname task ticks_add ticks_cpu ticks_diff ticks_ms ticks_us time time_ns timeout uname unhexlify
unique_id unlink unregister urandom verify_callback verify_mode wait wait_for wrap_socket args characters_written
errno filename strerror
""".split()
)


class Public:
    """Names that an application sees, from the stubs, docs/api.md and the files for boards.

    names:     they keep their names everywhere
    functions: (class or None, function) whose arguments keep theirs
    modules:   dotted names of modules that applications import
    classes:   classes that applications see, and may make subclasses of
    """

    def __init__(self, root: Path):
        self.names: set[str] = set()
        self.functions: set[tuple[str | None, str]] = set()
        self.modules: set[str] = set()
        self.classes: set[str] = set()
        stubs = root / "typings/lwm2m"
        for path in sorted(stubs.rglob("*.pyi")):
            parts = path.relative_to(stubs).with_suffix("").parts
            if parts[-1] != "__init__":
                self.modules.add(".".join(parts))
            self._stub(ast.parse(path.read_text(encoding="utf-8")).body, None)
        reference = root / "docs/api.md"
        if reference.exists():
            self._page(reference.read_text(encoding="utf-8"))
        for path in sorted((root / "firmware").rglob("*.py")):
            self._script(ast.parse(path.read_text(encoding="utf-8")))

    def _stub(self, body: list[ast.stmt], owner: str | None) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                self.names.add(node.name)
                self.classes.add(node.name)
                self._stub(node.body, node.name)
            elif isinstance(node, FUNCTIONS):
                self.names.add(node.name)
                self.functions.add((owner, node.name))
                self.names.update(
                    item.arg
                    for item in node.args.args + node.args.kwonlyargs
                    if item.arg != "self"
                )
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                self.names.add(node.target.id)

    def _page(self, text: str) -> None:
        for block in re.findall(r"```python(.*?)```", text, re.S):
            self.names.update(re.findall(r"[A-Za-z_]\w*", block))
        for span in re.findall(r"`([^`\n]+)`", text):
            found = re.match(r"([A-Za-z_][\w.]*)(\(.*\))?$", span)
            if found:
                self.names.update(found[1].split("."))

    def _script(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                self.names.add(node.attr)
            elif isinstance(node, ast.alias):
                self.names.update(node.name.split("."))


def strings(package: Package) -> set[str]:
    """Identifiers that the package's own strings spell: getattr(), __import__() or ** may look them up.

    A name that is put together of parts is an error: nobody could tell what it will be."""
    found: set[str] = set()
    for module in package.own():
        skipped = docstrings(module.tree)
        lists = _split_names(module.tree)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in skipped and _IDENTIFIER.match(node.value):
                    found.add(node.value)
            elif isinstance(node, ast.Call):
                text = _split_text(node)
                found.update(text.split() if text else ())
                looked_up = isinstance(node.func, ast.Name) and node.func.id in _LOOKS
                if looked_up and len(node.args) > 1 and _made_up(node.args[1]):
                    raise module.error(node, f"{node.func.id}() of a name that is put together")
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = {item.id for item in node.targets if isinstance(item, ast.Name)}
                if names & lists and isinstance(node.value.value, str):
                    found.update(node.value.value.split())
    return found


def probed(tree: ast.AST) -> set[str]:
    """Names of attributes that a module looks for without being sure: what is found must be what was meant."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in _LOOKS and len(node.args) > 1:
                found.add(getattr(node.args[1], "value", ""))
        elif isinstance(node, ast.Try) and any(_is_attribute_error(h) for h in node.handlers):
            found |= {item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute)}
    return {name for name in found if isinstance(name, str)}


def _is_attribute_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(
        isinstance(node, ast.Name) and node.id == "AttributeError"
        for node in ast.walk(handler.type)
    )


def _split_text(node: ast.Call) -> str | None:
    """The text of "...".split(), if the call is one."""
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr == "split":
        if isinstance(func.value, ast.Constant) and isinstance(func.value.value, str):
            return func.value.value
    return None


def _split_names(tree: ast.AST) -> set[str]:
    """Names of which split() is called."""
    return {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "split"
        and isinstance(node.func.value, ast.Name)
    }


def _made_up(node: ast.expr) -> bool:
    if isinstance(node, (ast.BinOp, ast.JoinedStr)):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
