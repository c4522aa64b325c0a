# Link format (RFC 6690) as LwM2M uses it: registration, Discover, Bootstrap-Discover.
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re

from .model import Model

_LINK = re.compile(
    r"\s*<([^<>]*)>((?:\s*;\s*[!#$&+\-.^_`|~\w*]+(?:=(?:\"[^\"]*\"|[^\s\";,]+))?)*)\s*(,|$)"
)
_ATTRIBUTE = re.compile(r"([^\s;=]+)(?:=(?:\"([^\"]*)\"|([^;\s]+)))?")


def parse(payload: bytes) -> list[tuple[str, dict[str, str]]]:
    """[(target, {attribute: text})]; ValueError when it is malformed."""
    text, pos, found = payload.decode(), 0, []
    while pos < len(text):
        match = _LINK.match(text, pos)
        if not match or match[3] and match.end() == len(text):
            raise ValueError(f"malformed link at byte {pos}: {text[pos : pos + 20]!r}")
        attributes = {m[1]: m[2] or m[3] or "" for m in _ATTRIBUTE.finditer(match[2])}
        found.append((match[1], attributes))
        pos = match.end()
    return found


def show(targets: dict[str, dict[str, str]], model: Model) -> str:
    """`/3/0 Device ver=1.1, /1/0 LwM2M Server`; targets that are no LwM2M path keep their form."""
    words = []
    for target, attributes in targets.items():
        label = model.label(target)
        words.append(" ".join([label, *(f"{k}={v}" if v else k for k, v in attributes.items())]))
    return ", ".join(words)
