# Notification Storing (1/x/6): what changes while an observer is out of reach is kept, with its times
# SPDX-License-Identifier: MIT
from ..coap.numbers import SENML_CBOR, SENML_JSON
from ..port import sys
from .timeseries import Series

_HAVE_TIMES = (SENML_JSON, SENML_CBOR)  # formats
_MOST_RINGS = const(8)
# values of a resource: where hqmax does not say, and at the most; the oldest go first, and are counted
_VALUES = const(10)
_MOST_VALUES = const(64)


class Keeper:
    """Makes the rings of what one path of an observation covers."""

    def __init__(self, tree, watched):
        self.series = tree.series or Series(tree)
        self.size = min(watched.attributes.hqmax or _VALUES, _MOST_VALUES)
        self.changed = watched.changed

    def keep(self, oid, iid, rid, value):
        series = self.series
        if len(series.rings) < _MOST_RINGS:
            if series.add_ring(oid, iid, rid, self.size, True, True) and self.changed:
                # what was to be told when the server was lost
                series.add(oid, iid, rid, value)

    def take(self, _, oid, iid, rid, kind, value):
        """For Tree.each_resource()."""
        self.keep(oid, iid, rid, value)


def hold(session):
    """The session has lost its server: take down what changes under its observations. After an update it goes
    out on their tokens; after a new registration when the path is observed again, or by a Send. Where there is
    no memory for it the history is lost, and nothing else."""
    try:
        for observation in session.observations:
            if observation.content_format in _HAVE_TIMES:
                for watched in observation.watched:
                    hold_path(session.tree, watched)
    except Exception as error:
        # no memory, or a function of the application that refuses
        sys.print_exception(error)


def hold_path(tree, watched):
    oid, iid, rid, riid = watched.path
    if riid >= 0 or iid not in tree.objects.get(oid, ()):
        return
    keeper = Keeper(tree, watched)
    if rid < 0:
        tree.each_resource(oid, iid, keeper.take, None)
    else:
        keeper.keep(oid, iid, rid, tree.read(oid, iid, rid))
    if keeper.series.rings:
        tree.series = keeper.series
