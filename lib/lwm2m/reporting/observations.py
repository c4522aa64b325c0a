# Observations and their notifications (RFC 7641; Core 1.1.1 6.4)
# SPDX-License-Identifier: MIT
from ..coap.numbers import (
    ACKNOWLEDGED,
    CONTENT,
    INTERNAL_SERVER_ERROR,
    SZX_MASK,
    TIMED_OUT,
    CoapError,
)
from ..ids import DEFAULT_PMAX, DEFAULT_PMIN, NOTIFICATION_MODE, SECURITY, SERVER
from ..model.tree import READABLE, Later
from ..port import sooner
from .attributes import NAMES, Attributes, attributes_at, check_readable

# the most that a session holds: observations of a path, composite ones, and paths of these
_MOST = const(16)
_MOST_COMPOSITE = const(8)
_MOST_PATHS = const(64)

_CANCEL = const(1)  # value of the Observe option in a request: end the observation
_SEQUENCE_MASK = const(0xFFFFFF)
_DAY = const(86400)  # seconds: at least so often a notification is confirmable (RFC 7641 4.5)
_FAR = const(400000)  # seconds: beyond any period, and yet a number of ms that is no object


class Watched:
    """One path of an observation, [oid, iid, rid, riid]."""

    attributes = Attributes()  # those that hold here
    last = None  # the value that gt, lt, st and edge compare: a number, or {riid: number} of a multiple resource
    changed = False  # there is something to tell
    waits = False  # a change came sooner than epmin allows, and is looked at later
    has_condition = False  # gt, lt, st or edge decide

    def __init__(self, path, now_s):
        self.path = path
        self.evaluated_s = now_s

    def includes(self, oid, iid, rid):
        """Does a change concern this path? It is under it or above it."""
        its_oid, its_iid, its_rid, _ = self.path
        return (
            (its_oid == oid or its_oid < 0 and oid != SECURITY)
            and (its_iid < 0 or iid < 0 or its_iid == iid)
            and (its_rid < 0 or rid < 0 or its_rid == rid)
        )

    def apply(self, attributes):
        self.attributes = attributes
        self.has_condition = not (
            attributes.gt is attributes.lt is attributes.st is attributes.edge is None
        )

    def measured(self, tree):
        """The value to compare, or None where there is nothing to compare: then every change is told."""
        oid, iid, rid, riid = self.path
        if not self.has_condition and not self.attributes.epmax and riid < 0:
            return None
        try:
            value = tree.read(oid, iid, rid)
        except (CoapError, KeyError):
            return None  # a function refuses, or the instance is gone
        if riid >= 0:
            # its neighbours change too
            return value.get(riid) if isinstance(value, dict) else None
        if isinstance(value, (dict, int, float, bool)):
            return value
        return None

    def evaluate(self, tree, now_s):
        self.evaluated_s = now_s
        self.waits = False
        self.changed = self.is_met(tree)

    def is_met(self, tree):
        """Is the present value to be told? (Core 1.1.1 7.3.2)"""
        value = self.measured(tree)
        last = self.last
        if value is None or last is None:
            return True
        if not self.has_condition:
            return value != last
        if self.attributes.edge is not None:
            # the last value is that of the last change here
            self.last = value
            return value != last and value == self.attributes.edge
        if not isinstance(value, dict):
            return self.has_crossed(last, value)
        for riid in last:
            if riid not in value:
                return True
        for riid in value:
            if riid not in last or self.has_crossed(last[riid], value[riid]):
                return True
        return False

    def has_crossed(self, last, value):
        """gt and lt are met when the value crosses them, st when it has moved that far."""
        attributes = self.attributes
        if attributes.st is not None and abs(value - last) >= attributes.st:
            return True
        if attributes.gt is not None and (value > attributes.gt) != (last > attributes.gt):
            return True
        return attributes.lt is not None and (value < attributes.lt) != (last < attributes.lt)


class Observation:
    """What a server observes: a path, or the paths of a composite observation, under one token.

    A composite one has one pmin and one pmax, the smallest of its paths, 0 not counting."""

    mid = -1  # of the last non-confirmable notification, which a reset may answer
    sequence = 1
    pmin = pmax = 0  # seconds
    confirmable = None  # by the attribute con; None: as 1/x/26 or the client says
    own = None  # attributes of the request itself, which stand for all that are attached (Core 1.2.2 6.4.1)
    block2 = -1  # the Block2 option of the request, -1 where it had none

    def __init__(self, session, token, paths, content_format, composite):
        client = session.client
        now_s = client.now_s
        self.session = session
        self.token = token
        self.content_format = content_format
        self.composite = composite
        self.watched = [Watched(path, now_s) for path in paths]
        self.sent_s = self.confirmed_s = (
            now_s  # seconds at the last notification, and at the last confirmable one
        )
        self.sent_ms = client.now_ms

    def paths(self):
        return [watched.path for watched in self.watched]

    def apply_attributes(self):
        """Take up the attributes as they are now."""
        session = self.session
        self.pmin = self.pmax = 0
        self.confirmable = None
        for watched in self.watched:
            attributes = self.own or attributes_at(session, watched.path)
            watched.apply(attributes)
            self.pmin = smaller(self.pmin, period(session, attributes.pmin, DEFAULT_PMIN))
            self.pmax = smaller(self.pmax, period(session, attributes.pmax, DEFAULT_PMAX))
            if attributes.con is not None:
                self.confirmable = self.confirmable or attributes.con
            if watched.last is None:
                watched.last = watched.measured(session.tree)
        if self.pmax < self.pmin:
            self.pmax = 0

    def resource_changed(self, oid, iid, rid):
        tree = self.session.tree
        now_s = self.session.client.now_s
        for watched in self.watched:
            if watched.changed or not watched.includes(oid, iid, rid):
                continue
            if rid >= 0 and not tree.definition(oid, rid) & READABLE:
                return  # written only: there is nothing to be told of it
            epmin = watched.attributes.epmin
            if epmin and now_s - watched.evaluated_s < epmin:
                watched.waits = True
            else:
                watched.evaluate(tree, now_s)

    def poll(self, now):
        """Send what is due; the ms until something will be, or -1."""
        client = self.session.client
        now_s = client.now_s
        wait = -1
        changed = False
        for watched in self.watched:
            attributes = watched.attributes
            if watched.changed:
                changed = True
            elif attributes.epmax or watched.waits:
                # a change that came too early, or a value that only a function knows
                left = attributes.epmin if watched.waits else attributes.epmax
                left = (watched.evaluated_s + (left or 0) - now_s) * 1000
                if left <= 0:
                    watched.evaluate(self.session.tree, now_s)
                    return 0
                wait = sooner(wait, left)
        left = self.pmin if changed else self.pmax
        if changed or left:
            left = min(left - now_s + self.sent_s, _FAR) * 1000 - client.now_ms + self.sent_ms
            if left > 0:
                return sooner(wait, left)
            if self.session.may_send() and not self.session.is_deferred(self.token):
                self.notify(now)
                return 0
        return wait

    def is_confirmable(self):
        session = self.session
        confirmable = self.confirmable
        if confirmable is None:
            confirmable = session.server(NOTIFICATION_MODE, session.client.confirmable)
        return confirmable or session.client.now_s - self.confirmed_s > _DAY

    def notify(self, now):
        session = self.session
        tree = session.tree
        coap = session.coap
        confirmable = self.is_confirmable()
        mid = coap.next_mid()
        coap.writer.begin(not confirmable, CONTENT, mid, self.token)
        self.take_down()
        tree.reported = reported = []
        try:
            self.put_content()
        except Later:
            session.defer(self.again, self.token)
            return
        except CoapError as error:
            # what can't be read any more ends with its error (RFC 7641 4.2)
            reported = None
            self.end()
            code = error.args[0] or INTERNAL_SERVER_ERROR
            coap.writer.begin(not confirmable, code, mid, self.token)
        finally:
            tree.reported = tree.snapshot = None
        if confirmable:
            self.confirmed_s = session.client.now_s
            coap.send_confirmable(now, None, Outcome(self, reported).answered)
        else:
            self.mid = mid
            coap.flush()
            if reported:
                tree.series.sent(reported)

    def again(self, now):
        """The function that said LATER has answered."""
        if self in self.session.observations:
            self.notify(now)

    def take_down(self):
        """What is told now, and when, is what later changes are compared with."""
        session = self.session
        self.sequence = self.sequence + 1 & _SEQUENCE_MASK
        self.sent_s = session.client.now_s
        self.sent_ms = session.client.now_ms
        for watched in self.watched:
            # what has changed while a function made up its answer is told next
            watched.changed = watched.changed and bool(session.tree.answers)
            watched.last = watched.measured(session.tree)

    def put_content(self):
        session = self.session
        if self.composite:
            from .composite import put_composite

            put_composite(
                session,
                None,
                self.paths(),
                self.sequence,
                self.content_format,
                self.block2,
                self.token,
            )
        else:
            path = self.watched[0].path
            oid, iid, rid, riid = path
            check_readable(session.tree, oid, iid, rid, riid, READABLE)
            session.put_content(None, path, self.sequence, self.content_format, self.block2)

    def end(self):
        if self in self.session.observations:
            self.session.observations.remove(self)

    def to_record(self, shift):
        """What outlives a deep sleep, for JSON; `shift` is added to its seconds."""
        own = self.own
        return [
            self.paths(),
            self.content_format,
            self.composite,
            self.sequence,
            self.block2,
            self.sent_ms,
            self.sent_s + shift,
            self.confirmed_s + shift,
            own and [getattr(own, name) for name in NAMES],
        ]


class Outcome:
    """What becomes of a confirmable notification; `reported` are the cached values that it told."""

    def __init__(self, observation, reported):
        self.observation = observation
        self.reported = reported

    def answered(self, code, message):
        observation = self.observation
        session = observation.session
        if code == TIMED_OUT:
            # told again once the server is back
            for watched in observation.watched:
                watched.changed = True
            session.store_changes()
            session.want_update()
        elif code == ACKNOWLEDGED:
            if self.reported:
                session.tree.series.sent(self.reported)
        elif code < ACKNOWLEDGED:
            observation.end()


def smaller(period, other):
    """The smaller of two periods of which 0 is none."""
    return other if other and (not period or other < period) else period


def period(session, seconds, rid):
    """A period as its attribute says, else as the server's default, resource `rid` of object 1."""
    return (session.server(rid) or 0) if seconds is None else seconds


def observe(session, message, paths, content_format, composite=False):
    """Take up or end the observation of a request; the number for the Observe option of its answer, or -1."""
    observations = session.observations
    ended = None
    for observation in observations:
        if observation.token == message.token:
            ended = observation
    if not ended and message.observe == _CANCEL:
        # a server that makes up another token means the path (Core 1.1.1 6.4.2)
        for observation in observations:
            if observation.composite == composite and observation.paths() == paths:
                ended = observation
    if ended:
        observations.remove(ended)
    if message.observe or not has_room(observations, paths, composite):
        return -1
    observation = Observation(session, message.token, paths, content_format, composite)
    if message.query:
        observation.own = own = Attributes()
        rid = paths[0][2]
        own.parse(
            message.query, session.tree.minor, rid, session.tree.definition(paths[0][0], rid)
        )
        own.check()
    if message.block2 >= 0:
        observation.block2 = message.block2 & SZX_MASK
    observation.apply_attributes()
    series = session.tree.series
    if series:
        for watched in observation.watched:
            watched.changed = series.waits_for(watched.path)
    observations.append(observation)
    return observation.sequence


def has_room(observations, paths, composite):
    """May one more observation, of so many paths, be taken up?"""
    count = 0
    watched = len(paths)
    for observation in observations:
        if observation.composite == composite:
            count += 1
            watched += len(observation.watched)
    if composite:
        return count < _MOST_COMPOSITE and watched <= _MOST_PATHS
    return count < _MOST


def from_record(session, token, record, shift):
    """The observation that Observation.to_record() took down; `shift` is added to its seconds."""
    paths, content_format, composite, sequence, block2, sent_ms, sent_s, confirmed_s, own = record
    observation = Observation(session, token, paths, content_format, composite)
    # room for the notifications that went out after it was saved
    observation.sequence = sequence + 256 & _SEQUENCE_MASK
    observation.block2 = block2
    observation.sent_ms = sent_ms
    observation.sent_s = sent_s + shift
    observation.confirmed_s = confirmed_s + shift
    if own:
        observation.own = Attributes()
        for name, value in zip(NAMES, own):
            if value is not None:
                setattr(observation.own, name, value)
    observation.apply_attributes()
    return observation


def reapply_attributes(session):
    """The server has written attributes, or its default periods."""
    for observation in session.observations:
        observation.apply_attributes()


def resource_changed(session, oid, iid, rid):
    """A value has changed, or (rid -1) an instance was made or deleted."""
    if oid == SERVER and (rid == DEFAULT_PMIN or rid == DEFAULT_PMAX):
        reapply_attributes(session)
    for observation in session.observations:
        observation.resource_changed(oid, iid, rid)


def notification_rejected(session, mid):
    """A reset ends the observation whose non-confirmable notification it answers (RFC 7641 3.6)."""
    for observation in session.observations:
        if observation.mid == mid:
            return observation.end()


def poll(session, now):
    """Send the notifications that are due; the ms until one will be, or -1."""
    wait = -1
    for observation in session.observations:
        left = observation.poll(now)
        if not left:
            return 0
        wait = sooner(wait, left)
    return wait
