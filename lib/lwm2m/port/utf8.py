# Is it UTF-8? For builds like QuecPython's, where text is bytes that nobody looks at
# SPDX-License-Identifier: MIT


def text(v, encoding):
    """The str of bytes that are UTF-8 (RFC 3629), the one encoding there is; else ValueError."""
    more = 0  # bytes that the character has still to come; the next is from `low` to `high`
    low = high = 0
    for c in v:
        if more:
            if not low <= c <= high:
                raise ValueError("UTF-8")
            more -= 1
            low = 0x80
            high = 0xBF
        elif c > 127:
            if not 0xC2 <= c < 0xF5:
                raise ValueError("UTF-8")
            more = 1 + (c > 0xDF) + (c > 0xEF)
            # no longer than it need be, no surrogate, not beyond the last character
            low = {0xE0: 0xA0, 0xF0: 0x90}.get(c, 0x80)
            high = {0xED: 0x9F, 0xF4: 0x8F}.get(c, 0xBF)
    if more:
        raise ValueError("UTF-8")
    return str(v, encoding)
