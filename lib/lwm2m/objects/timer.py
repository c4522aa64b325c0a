# Object 3340, Timer: its modes, the time that is left, and its counters
# SPDX-License-Identifier: MIT
from ..coap.numbers import BAD_REQUEST, CoapError
from ..ids import (
    CUMULATIVE_TIME,
    DELAY_DURATION,
    DIGITAL_INPUT_COUNTER,
    MINIMUM_OFF_TIME,
    ON_OFF,
    OUTPUT_COUNTER,
    OUTPUT_STATE,
    REMAINING_TIME,
    TIMER,
    TIMER_MODE,
    TIMER_TRIGGER,
)
from ..model.tree import ON_CHANGE, ON_EXECUTE, ON_READ, VALIDATE
from ..model.values import parse_path

_INPUT = ON_OFF

# timer modes (3340/x/5526)
_OFF = const(0)
_ONE_SHOT = const(1)  # as _ON_TIME, but it is a trigger that begins
_ON_TIME = const(
    2
)  # the output is on from when the input comes on until the delay is over, or the input goes off
_ON_DELAY = const(3)  # the output comes on when the delay is over
_OFF_DELAY = const(4)  # the delay begins when the input goes off


class State:
    """What an instance is about; times are ms."""

    end = None  # of the delay, None where it does not run
    earliest = 0  # not to begin again before
    looked = 0  # up to when on_for is right
    on_for = 0  # how long what 5544 counts was on
    counts = False  # is it on?

    def __init__(self, client, iid):
        self.client = client
        self.iid = iid

    def values(self):
        return self.client.tree.objects[TIMER][self.iid]

    def store(self, rid, value):
        self.client.tree.store(TIMER, self.iid, rid, -1, value)

    def look(self):
        """Take the time: what the last look found was so until now."""
        values = self.values()
        now = self.client.now_s * 1000 + self.client.now_ms
        if self.counts:
            self.on_for += now - self.looked
        self.looked = now
        self.counts = values[OUTPUT_STATE if values[TIMER_MODE] == _ONE_SHOT else _INPUT]

    def begin_delay(self):
        self.end = self.looked + int(self.values()[DELAY_DURATION] * 1000)

    def count_input(self):
        self.store(DIGITAL_INPUT_COUNTER, self.values()[DIGITAL_INPUT_COUNTER] + 1)

    def begin(self):
        """Begin the delay, and the output, if that may be now; True where it was."""
        self.look()
        values = self.values()
        if not values[TIMER_MODE] or not values[_INPUT]:
            return False
        if self.end is not None or self.looked < self.earliest:
            return False
        self.count_input()
        self.begin_delay()
        self.switch_output(values[TIMER_MODE] != _ON_DELAY)
        return True

    def switch_output(self, on):
        self.look()
        values = self.values()
        if on == values[OUTPUT_STATE]:
            return
        if on:
            self.store(OUTPUT_COUNTER, values[OUTPUT_COUNTER] + 1)
        else:
            self.earliest = self.looked + int(values[MINIMUM_OFF_TIME] * 1000)
        self.store(OUTPUT_STATE, on)

    def changed(self, rid):
        """A resource has a new value."""
        self.look()
        values = self.values()
        mode = values[TIMER_MODE]
        if rid == CUMULATIVE_TIME:
            # kept here alone, so that another 0 is a change again
            self.on_for = int(values.pop(rid, 0) * 1000)
        elif rid == _INPUT and mode == _OFF_DELAY and values[OUTPUT_STATE]:
            if values[_INPUT]:
                self.end = None
                self.count_input()
            else:
                self.begin_delay()
        elif (rid == _INPUT or rid == TIMER_MODE) and (mode == _OFF or not values[_INPUT]):
            self.end = None
            self.switch_output(False)
        elif rid == _INPUT and mode > _ONE_SHOT and self.begin() and mode == _OFF_DELAY:
            self.end = None

    def poll(self):
        """End the delay if it is over; the ms that are left of it, or -1."""
        if self.end is None:
            return -1
        self.look()
        if self.end > self.looked:
            return self.end - self.looked
        self.end = None
        self.switch_output(self.values()[TIMER_MODE] == _ON_DELAY)
        return -1

    def cumulative_time(self):
        self.look()
        return self.on_for / 1000

    def remaining_time(self):
        self.look()
        return 0.0 if self.end is None else (self.end - self.looked) / 1000


def setup(client):
    """Give object 3340 its behaviour; instances are made by create(), as one-shot timers of 5 s.

    5850 is the input, 5543 the output, an Execute of 5523 a trigger. 5544 counts the time that the
    input is on; for a one-shot timer, that the output is."""
    tree = client.tree
    states = {}  # {iid: State}

    def changed(oid, iid, rid):
        values = tree.objects[oid].get(iid)
        if values is None:
            states.pop(iid, None)
            return
        for default, value in (
            (DELAY_DURATION, 5.0),
            (MINIMUM_OFF_TIME, 0.0),
            (TIMER_MODE, _ONE_SHOT),
            (_INPUT, True),
            (OUTPUT_STATE, False),
            (DIGITAL_INPUT_COUNTER, 0),
            (OUTPUT_COUNTER, 0),
        ):
            values.setdefault(default, value)
        if rid < 0:
            states[iid] = State(client, iid)
        states[iid].changed(rid)

    def state_at(path):
        return states[parse_path(path)[1]]

    def trigger(path, arguments):
        if not state_at(path).begin():
            raise CoapError(BAD_REQUEST)

    def poll(now):
        wait = -1
        for state in states.values():
            left = state.poll()
            if left >= 0 and (wait < 0 or left < wait):
                wait = left
        return wait

    tree.show(TIMER)
    for kind, rid, function in (
        (ON_CHANGE, -1, changed),
        (ON_EXECUTE, TIMER_TRIGGER, trigger),
        (ON_READ, REMAINING_TIME, lambda path, value: state_at(path).remaining_time()),
        (ON_READ, CUMULATIVE_TIME, lambda path, value: state_at(path).cumulative_time()),
        (VALIDATE, TIMER_MODE, lambda path, value: value <= _OFF_DELAY),
        (VALIDATE, DELAY_DURATION, lambda path, value: value >= 0),
    ):
        tree.add_hook(kind, TIMER, -1, rid, function)
    client.pollers.append(poll)
