# A registration that outlives a deep sleep, beside its DTLS session: where it is, until when, who observes what
# SPDX-License-Identifier: MIT
from ..formats.json_text import json, loads
from ..ids import SECURITY
from ..port import binascii, time
from ..reporting.attributes import NAMES, Attributes
from ..reporting.observations import from_record, resource_changed
from .session import FAR

_FORM = const(2)  # another one where what is saved has another form

# Behind what is saved, which else may have been cut.
_END = b"\n"


def to_text(data):
    return str(binascii.hexlify(data), "ascii")


def objects(session):
    # what the registration's links are made of; text, as JSON knows no tuples and no numbers as keys
    tree = session.tree
    return str(
        [(oid, sorted(tree.instances(oid))) for oid in sorted(tree.objects) if oid != SECURITY]
    )


def name_of(session):
    return "reg%d" % session.ssid


def keep(session):
    """Save the registration by the client's `save`, or, if it is over, that there is none."""
    data = b""
    if session.location:
        session.dtls.keep()
        data = json.dumps(to_record(session)).encode() + _END
    session.client.save(name_of(session), data)


def to_record(session):
    # all times are of the clock on the wall
    shift = time() - session.client.now_s
    return [
        _FORM,
        shift + session.expires,
        session.lifetime(),
        session.minor,
        objects(session),
        [to_text(segment) for segment in session.location],
        [
            (attributes.path, [getattr(attributes, name) for name in NAMES])
            for attributes in session.attributes
        ],
        [
            (to_text(observation.token), observation.to_record(shift))
            for observation in session.observations
        ],
    ]


def wake(session, now):
    """Take back what keep() saved, unless it is over or damaged: then the session stays as it is."""
    client = session.client
    data = client.load(name_of(session))
    try:
        if data[-1:] != _END:
            return
        form, expires, lifetime, minor, links, location, attributes, observations = loads(data)
        shift = client.now_s - time()
        expires += shift
        if not lifetime:
            expires = client.now_s + FAR  # it has no end
        # more than the lifetime is left where the clock lost its time
        if form != _FORM or not client.now_s < expires <= client.now_s + (lifetime or FAR):
            return
        location = [binascii.unhexlify(segment) for segment in location]
        session.attributes = [attached(path, values) for path, values in attributes]
        session.observations = [
            from_record(session, binascii.unhexlify(token), record, shift)
            for token, record in observations
        ]
    except (ValueError, IndexError, TypeError):
        session.attributes = []
        session.observations = []
        return
    session.location = location
    session.expires = expires
    session.minor = session.tree.minor = minor
    session.restore_parts(lifetime, objects(session) != links)
    # what happened meanwhile is not known
    for oid in session.tree.objects:
        resource_changed(session, oid, -1, -1)


def attached(path, values):
    attributes = Attributes()
    attributes.path = path
    for name, value in zip(NAMES, values):
        if value is not None:
            setattr(attributes, name, value)
    return attributes
