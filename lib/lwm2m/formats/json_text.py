# Is a text JSON (RFC 8259)? json.loads() takes brackets that do not match, missing commas, and up to 1.22 text that is cut
# SPDX-License-Identifier: MIT
#
# These functions look at data[position]. They raise ValueError, or IndexError where the data end too soon.
from ..port import module

json = module("json")

_SPACE = b" \t\r\n"
_DEEPEST = const(16)  # brackets in brackets
_CLOSER = const(2)  # added to [ or {, it is the one that closes
_HEX = const(4)  # digits of an escaped character


def loads(data):
    """The value that `data` stand for, an array or an object."""
    data = memoryview(data)
    start = skip_space(data, 0)
    end = value_end(data, start)
    check_end(data, end)
    if data[start] not in b"[{":
        raise ValueError
    return part(data, start, end)


def part(data, start, end):
    """The value between two places that value_end() has found."""
    return json.loads(str(data[start:end], "utf8"))


def check_end(data, position):
    """Refuse what comes behind the value."""
    for char in data[position:]:
        if char not in _SPACE:
            raise ValueError


def skip_space(data, position):
    while data[position] in _SPACE:
        position += 1
    return position


def value_end(data, position):
    """The place behind the value that begins at `position`."""
    closers = []  # of what is open, the innermost last
    while True:
        char = data[position]
        if char in b"[{":
            if len(closers) >= _DEEPEST:
                raise ValueError
            closers.append(char + _CLOSER)
            position = skip_space(data, position + 1)
            if data[position] != char + _CLOSER:
                if char == ord("{"):
                    position = name_end(data, position)
                continue
        else:
            position = scalar_end(data, position)
        # behind a value, or before the bracket that closes an empty array or object
        while closers:
            position = skip_space(data, position)
            char = data[position]
            position += 1
            if char == ord(","):
                position = skip_space(data, position)
                if closers[-1] == ord("}"):
                    position = name_end(data, position)
                break
            if char != closers.pop():
                raise ValueError
        else:
            return position


def name_end(data, position):
    """The place of the value whose name begins at `position`."""
    position = skip_space(data, string_end(data, position))
    if data[position] != ord(":"):
        raise ValueError
    return skip_space(data, position + 1)


def scalar_end(data, position):
    char = data[position]
    if char == ord('"'):
        return string_end(data, position)
    for word in (b"true", b"false", b"null"):
        end = position + len(word)
        if data[position:end] == word:
            return end
    return number_end(data, position)


def string_end(data, position):
    if data[position] != ord('"'):
        raise ValueError
    while True:
        position += 1
        char = data[position]
        if char == ord('"'):
            return position + 1
        if char < ord(" "):
            raise ValueError
        if char == ord("\\"):
            position += 1
            char = data[position]
            if char == ord("u"):
                for position in range(position + 1, position + 1 + _HEX):
                    if data[position] not in b"0123456789abcdefABCDEF":
                        raise ValueError
            elif char not in b'"\\/bfnrt':
                raise ValueError


def number_end(data, position):
    if data[position] == ord("-"):
        position += 1
    end = digits_end(data, position)
    if data[position] == ord("0") and end > position + 1:
        raise ValueError
    if data[end] == ord("."):
        end = digits_end(data, end + 1)
    if data[end] in b"eE":
        end += 1
        if data[end] in b"+-":
            end += 1
        end = digits_end(data, end)
    return end


def digits_end(data, position):
    end = position
    while ord("0") <= data[end] <= ord("9"):
        end += 1
    if end == position:
        raise ValueError
    return end
