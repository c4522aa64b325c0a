# Object 3340, Timer: its modes, the time that is left, and its counters
# SPDX-License-Identifier: MIT
from ..coap.numbers import CoapError
from ..model.values import parse_path
from ..model.tree import ON_READ, ON_EXECUTE, VALIDATE, ON_CHANGE


_INPUTS = const(5501)
_DELAY = const(5521)
_REST = const(5525)
_MODE = const(5526)
_OUTPUTS = const(5534)
_OUTPUT = const(5543)
_TOTAL = const(5544)
_INPUT = const(5850)

# _MODE 2: the output is on from when the input comes on until the delay is over, or the input goes off
_ONE_SHOT = const(1)  # the same, but it is a trigger that begins
_PICK_UP = const(3)  # the output comes on when the delay is over
_DROP_OUT = const(4)  # the delay begins when the input goes off

_DEFAULTS = (
    (_DELAY, 5.0),
    (_REST, 0.0),
    (_MODE, _ONE_SHOT),
    (_INPUT, True),
    (_OUTPUT, False),
    (_INPUTS, 0),
    (_OUTPUTS, 0),
)

# the state of an instance; times are ms
_END = const(0)  # of the delay, None where it does not run
_AGAIN = const(1)  # not to begin again before
_SEEN = const(2)
_ON = const(3)  # how long what is counted was on until _SEEN
_COUNTS = const(4)  # True while it is


def setup(client):
    """Give object 3340 its behaviour; instances are made by create(), as one-shot timers of 5 s.

    5850 is the input, 5543 the output, an Execute of 5523 a trigger. 5544 counts the time that the
    input is on; for a one-shot timer, that the output is."""
    t = client.tree
    state = {}

    def look(i):
        # what the last look found was so until now
        x = state[i]
        d = t.objects[3340][i]
        now = client.now_s * 1000 + client.now_ms
        if x[_COUNTS]:
            x[_ON] += now - x[_SEEN]
        x[_SEEN] = now
        x[_COUNTS] = d[_OUTPUT if d[_MODE] == _ONE_SHOT else _INPUT]
        return x, d

    def put(i, r, v):
        t.store(3340, i, r, -1, v)

    def output(i, on):
        x, d = look(i)
        if on != d[_OUTPUT]:
            if on:
                put(i, _OUTPUTS, d[_OUTPUTS] + 1)
            else:
                x[_AGAIN] = x[_SEEN] + int(d[_REST] * 1000)
            put(i, _OUTPUT, on)

    def delay(x, d):
        x[_END] = x[_SEEN] + int(d[_DELAY] * 1000)

    def begin(i):
        x, d = look(i)
        if not d[_MODE] or not d[_INPUT] or x[_END] is not None or x[_SEEN] < x[_AGAIN]:
            return False
        put(i, _INPUTS, d[_INPUTS] + 1)
        delay(x, d)
        output(i, d[_MODE] != _PICK_UP)
        return True

    def trigger(path, args):
        if not begin(parse_path(path)[1]):
            raise CoapError(0x80)

    def changed(o, i, r):
        d = t.objects[o].get(i)
        if d is None:
            state.pop(i, None)
            return
        for k, v in _DEFAULTS:
            d.setdefault(k, v)
        if r < 0:
            state[i] = [None, 0, 0, 0, False]
        x, d = look(i)
        mode = d[_MODE]
        on = d[_INPUT]
        if r == _TOTAL:
            # kept in `state` alone, so that another 0 is a change again
            x[_ON] = int(d.pop(r, 0) * 1000)
        elif r == _INPUT and mode == _DROP_OUT and d[_OUTPUT]:
            if on:
                x[_END] = None
                put(i, _INPUTS, d[_INPUTS] + 1)
            else:
                delay(x, d)
        elif r == _INPUT or r == _MODE:
            if not mode or not on:
                x[_END] = None
                output(i, False)
            elif r == _INPUT and mode > _ONE_SHOT and begin(i) and mode == _DROP_OUT:
                x[_END] = None

    def show(path, v):
        o, i, r, ri = parse_path(path)
        x, d = look(i)
        if r == _TOTAL:
            return x[_ON] / 1000
        return 0.0 if x[_END] is None else (x[_END] - x[_SEEN]) / 1000

    def poll(now):
        wait = -1
        for i in state:
            if state[i][_END] is not None:
                x, d = look(i)
                left = x[_END] - x[_SEEN]
                if left <= 0:
                    x[_END] = None
                    output(i, d[_MODE] == _PICK_UP)
                elif wait < 0 or left < wait:
                    wait = left
        return wait

    t.objects.setdefault(3340, {})
    t.hooks.setdefault(3340, []).extend(
        (
            (ON_CHANGE, -1, -1, changed),
            (ON_EXECUTE, -1, 5523, trigger),
            (ON_READ, -1, 5538, show),
            (ON_READ, -1, _TOTAL, show),
            (VALIDATE, -1, _MODE, lambda path, v: v <= _DROP_OUT),
            (VALIDATE, -1, _DELAY, lambda path, v: v >= 0),
        )
    )
    client.pollers.append(poll)
