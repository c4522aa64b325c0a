# Object 5, Firmware Update (Core 1.1.1 E.6): states and results, by way of a Transfer and a slot of the port
# SPDX-License-Identifier: MIT
from ..coap.numbers import EMPTY, METHOD_NOT_ALLOWED, CoapError
from ..events import (
    FIRMWARE_PROGRESS,
    FIRMWARE_STATE,
    FIRMWARE_UPDATE,
    REG_UPDATE_COMPLETE,
    REGISTRATION_COMPLETE,
)
from ..ids import (
    ABSENT,
    AUTOMATIC_UPDATE,
    CANCEL,
    CURRENT_TIME,
    DELIVERY_METHOD,
    DEVICE,
    FIRMWARE_UPDATE as OBJECT,
    LAST_STATE_CHANGE,
    MAXIMUM_DEFER_PERIOD,
    PACKAGE,
    PACKAGE_URI,
    PROTOCOL_SUPPORT,
    SEVERITY,
    UPDATE,
    UPDATE_RESULT,
    UPDATE_STATE,
)
from ..model.tree import ON_CHANGE, ON_EXECUTE, ON_OPEN, ON_WRITE, VALIDATE
from ..port import binascii, module, restart, sys
from ..transfer import CONNECTION_LOST, DEVICE_FAILED, DONE, Transfer

# 5/x/3
IDLE = const(0)
DOWNLOADING = const(1)
DOWNLOADED = const(2)
UPDATING = const(3)

# 5/x/5, beside those of transfer.py
INITIAL = const(0)
SUCCESS = const(1)
CANCELLED = const(10)
DEFERRED = const(11)

_PUSH_AND_PULL = const(2)
_MANDATORY = const(1)  # 5/x/11
_OPTIONAL = const(2)
_FORM = const(1)  # of what is saved
_END = b"\n"  # behind it: MicroPython up to 1.22 takes JSON that is cut for whole
_QUIET = const(1)  # seconds before the restart, so that servers hear of state 3
_LONGEST_WAIT = const(10)  # and at most, while an answer is outstanding
_STEP = const(4096)  # bytes between two events of progress where the length is not known


class Firmware:
    """Instance `instance` of object 5, whose packages go to `slot` (see port/slot.py).

    verify, accept, sha256, retries, delay, ca: as Transfer has them. After an update the new software has
    `confirm_within` seconds to register, and `test()`, if there is one, has its say then: True keeps it, False goes
    back, None waits for confirm(). `auto_download` and `auto_update` False leave what a server wants to the
    application: downloaded(), and apply() or defer(). State, URI and progress outlive a restart by the client's
    load and save. `state` and `result` are those of 5/x/3 and 5/x/5, `progress` is (bytes that are there, of so many
    or -1)."""

    confirm_within = 600
    auto_download = auto_update = True
    test = None
    state = IDLE
    result = INITIAL
    progress = (0, -1)
    _due = -1  # seconds: of the activation, the end of a trial, the end of a deferral
    _trial = False
    _told = 0  # the progress that was told last
    _saved = None

    def __init__(self, client, slot, instance=0, **options):
        self.client = client
        self.slot = slot
        self.instance = instance
        self.restart = restart
        self.transfer = transfer = Transfer(client, slot, self._done, self._progressed)
        for name, value in options.items():
            owner = self if hasattr(self, name) else transfer
            if name[:1] == "_" or not hasattr(owner, name):
                raise TypeError("no such option: " + name)
            setattr(owner, name, value)
        tree = client.tree
        if tree.find(OBJECT) < 0:
            from ..model.tables.standard import TABLE

            client.objects(TABLE)
        tree.create(
            OBJECT,
            instance,
            {
                PACKAGE_URI: b"",
                UPDATE_STATE: IDLE,
                UPDATE_RESULT: INITIAL,
                PROTOCOL_SUPPORT: protocols,
                DELIVERY_METHOD: _PUSH_AND_PULL,
                SEVERITY: _MANDATORY,
            },
        )
        for kind, rid, function in (
            (ON_OPEN, PACKAGE, self._open),
            (ON_WRITE, PACKAGE, self._package_written),
            (ON_CHANGE, PACKAGE, self._forget_package),
            (ON_WRITE, PACKAGE_URI, self._uri_written),
            (VALIDATE, SEVERITY, lambda path, value: 0 <= value <= _OPTIONAL),
            (ON_EXECUTE, UPDATE, self._executed),
            (ON_EXECUTE, CANCEL, self._cancelled),
        ):
            tree.add_hook(kind, OBJECT, instance, rid, function)
        client.pollers.append(self._poll)
        client._listeners.append(self._heard)
        self._take_up()

    # what the application calls

    def downloaded(self, ok=True, result=CONNECTION_LOST):
        """With auto_download False: the application has put the package into the slot, or it has failed to."""
        if self.state == DOWNLOADING and not self.transfer.is_active():
            self._done(DONE if ok else result)

    def apply(self):
        """Install what was downloaded; the device restarts. False where there is nothing to install."""
        if self.state != DOWNLOADED:
            return False
        self._set(UPDATING, INITIAL)
        self._due = self.client.now_s + _QUIET
        return True

    def defer(self, seconds=0):
        """Not now (result 11): wait for apply(), or install after the maximum defer period (5/x/13), or after so many
        seconds. False where there is nothing to install, or the server allows no deferral."""
        longest = self.client.tree.get(OBJECT, self.instance, MAXIMUM_DEFER_PERIOD)
        if self.state != DOWNLOADED or longest == 0:
            return False
        if longest:
            seconds = min(seconds or longest, longest)
        self._due = self.client.now_s + seconds if seconds else -1
        self._set(DOWNLOADED, DEFERRED)
        return True

    def pause(self):
        """Hold a download still."""
        self.transfer.pause()

    def resume(self):
        """Go on with it."""
        self.transfer.resume()

    def confirm(self):
        """Keep the software that runs on trial: result 1."""
        if self._trial:
            self.slot.confirm()
            self._trial = False
            self._due = -1
            self._set(IDLE, SUCCESS)

    def roll_back(self):
        """Go back to the software before: result 8, and a restart."""
        self._trial = False
        self._due = -1
        try:
            self.slot.roll_back()
        except Exception as error:
            sys.print_exception(error)
        self._set(IDLE, DEVICE_FAILED)
        self._start_anew()

    # what servers do

    def _open(self, session):
        """What takes the package as a server writes it to 5/x/0."""
        push = None

        def take(offset, data, more):
            nonlocal push
            if not offset:
                push = self._begin_push(session.ssid, data, more)
            return push(offset, data, more) if push else EMPTY

        return take

    def _begin_push(self, ssid, data, more):
        """The first bytes of a package: what takes them, or None where they stand for a reset."""
        if self.state == UPDATING:
            raise CoapError(METHOD_NOT_ALLOWED)
        if not more and (len(data) == 0 or (len(data) == 1 and not data[0])):
            self._reset(INITIAL)
            return None
        if self.state == DOWNLOADED:
            raise CoapError(METHOD_NOT_ALLOWED)
        push = self.transfer.push(ssid)
        self._told = 0
        self._set(DOWNLOADING, INITIAL)
        return push

    def _package_written(self, path, value):
        """A package in one piece, in any other format."""
        push = self._begin_push(self.client.served.ssid, value, 0)
        if push:
            code = push(0, value, 0)
            if code:
                raise CoapError(code)

    def _forget_package(self, oid, iid, rid):
        self.client.tree.objects[oid][iid].pop(rid, None)

    def _uri_written(self, path, uri):
        # what is no trigger in this state is refused (Core 1.1.1 E.6.2)
        if self.state == UPDATING or (uri and self.state != IDLE):
            raise CoapError(METHOD_NOT_ALLOWED)
        if not uri:
            self._reset(INITIAL)
            return
        self._told = 0
        self.transfer.cancel()
        self._set(DOWNLOADING, INITIAL)
        if self.auto_download:
            self.transfer.pull(uri, self.client.served.ssid)
            self._keep()

    def _executed(self, path, arguments):
        if self.state != DOWNLOADED:
            raise CoapError(METHOD_NOT_ALLOWED)
        if self.auto_update:
            self.apply()
        else:
            self.client._emit(FIRMWARE_UPDATE, self.transfer.ssid)

    def _cancelled(self, path, arguments):
        if self.state != DOWNLOADING and self.state != DOWNLOADED:
            raise CoapError(METHOD_NOT_ALLOWED)
        self._reset(CANCELLED)

    def _reset(self, result):
        """Drop what there is."""
        self._due = -1
        try:
            self.transfer.cancel()
        except Exception as error:
            sys.print_exception(error)
        self.client.tree.store(OBJECT, self.instance, PACKAGE_URI, ABSENT, b"")
        self._set(IDLE, result)

    # what the transfer tells

    def _done(self, outcome):
        if outcome:
            self._set(IDLE, outcome)
            return
        self._set(DOWNLOADED, INITIAL)
        if self.client.tree.get(OBJECT, self.instance, AUTOMATIC_UPDATE):
            self.apply()

    def _progressed(self):
        offset = self.transfer.offset
        size = self.transfer.size
        self.progress = (offset, size)
        step = offset * 100 // size if size > 0 else offset // _STEP
        if step != self._told:
            self._told = step
            self.client._emit(FIRMWARE_PROGRESS, self.transfer.ssid)
        self._keep()

    # states

    def _set(self, state, result):
        """Go to a state; servers, the application and the next start hear of it."""
        tree = self.client.tree
        changed = state != self.state or result != self.result
        if state != self.state:
            now = tree.read(DEVICE, 0, CURRENT_TIME)
            tree.store(OBJECT, self.instance, LAST_STATE_CHANGE, ABSENT, now)
        self.state = state
        self.result = result
        tree.store(OBJECT, self.instance, UPDATE_RESULT, ABSENT, result)
        tree.store(OBJECT, self.instance, UPDATE_STATE, ABSENT, state)
        self._keep()
        if changed:
            self.client._emit(FIRMWARE_STATE, self.transfer.ssid)

    def _name(self):
        return "fw%d" % self.instance

    def _keep(self):
        """Save what the next start has to know, where it has changed."""
        client = self.client
        if not client.save:
            return
        transfer = self.transfer
        record = [
            _FORM,
            self.state,
            self.result,
            transfer.uri,
            str(binascii.hexlify(transfer.etag), "ascii"),
            transfer.ssid,
            transfer.size,
        ]
        if record == self._saved:
            return
        self._saved = record
        try:
            client.save(self._name(), module("json").dumps(record).encode() + _END)
        except Exception as error:
            self._saved = None
            sys.print_exception(error)

    def _restored(self):
        """What _keep() saved, or None where there is none of use."""
        client = self.client
        try:
            data = client.load(self._name()) if client.load else None
            if not data or data[-1:] != _END:
                return None
            record = module("json").loads(data)
            form, state, result, uri, etag, ssid, size = record
            binascii.unhexlify(etag)
            if form != _FORM or not IDLE <= state <= UPDATING or not isinstance(uri, str):
                return None
            return record
        except Exception as error:
            sys.print_exception(error)
        return None

    def _take_up(self):
        """Go on from where the last run was."""
        record = self._restored()
        trial = self.slot.trial()
        if not record:
            record = [_FORM, UPDATING if trial else IDLE, INITIAL, "", "", 0, -1]
        form, state, result, uri, etag, ssid, size = record
        transfer = self.transfer
        transfer.uri = uri
        transfer.ssid = ssid
        self.client.tree.store(OBJECT, self.instance, PACKAGE_URI, ABSENT, uri.encode())
        if state == DOWNLOADING and uri and self.auto_download:
            transfer.pull(uri, ssid, binascii.unhexlify(etag), size)
        elif state == DOWNLOADING and self.auto_download:
            # a push that the restart has cut
            state = IDLE
            result = CONNECTION_LOST
        elif state == UPDATING and not trial:
            # the start went back to the software before
            state = IDLE
            result = DEVICE_FAILED
        elif trial:
            state = UPDATING
            result = INITIAL
            self._trial = True
            self._due = self.client.now_s + self.confirm_within
        self._set(state, result)

    def _heard(self, event, ssid):
        if self._trial and event in (REGISTRATION_COMPLETE, REG_UPDATE_COMPLETE):
            kept = not self.test or self.test()
            if kept:
                self.confirm()
            elif kept is False:
                self.client.call_soon(lambda _: self.roll_back(), None)

    def _poll(self, now):
        """For Client.pollers."""
        if self._due < 0:
            return -1
        client = self.client
        left = self._due - client.now_s
        if left > 0:
            return min(left, 1000) * 1000
        if self._trial:
            self.roll_back()
        elif self.state == UPDATING:
            for session in client.sessions:
                if session.coap and session.coap.exchanges and left > -_LONGEST_WAIT:
                    return 1000
            self._activate()
        else:
            # the deferral is over
            self.apply()
        return 0

    def _activate(self):
        self._due = -1
        try:
            self.slot.activate()
        except Exception as error:
            sys.print_exception(error)
            self._set(IDLE, DEVICE_FAILED)
            return
        self._start_anew()

    def _start_anew(self):
        client = self.client
        client.pause()  # what outlives a restart is saved
        if not self.restart():
            client.resume()  # whoever runs this on a host starts it anew


def protocols():
    """5/x/8: what this image can fetch by, asked when a server reads it."""
    found = {0: 0}
    try:
        from ..dtls import channel

        found[1] = 1
    except ImportError:
        pass
    try:
        from ..http import tls

        found[2] = 2
        if tls:
            found[3] = 3
    except ImportError:
        pass
    return found


def setup(client):
    """Make 5/0 with the slot for the firmware that the port has, else with that for the application's files, and 5/1
    with the latter where there are both; the list of the Firmware."""
    slots = []
    try:
        from ..port import firmware_slot

        slots.append(firmware_slot())
    except ImportError:
        pass
    try:
        from ..port import files_slot

        slots.append(files_slot())
    except ImportError:
        pass
    made = []
    for slot in slots:
        if slot:
            made.append(Firmware(client, slot, len(made)))
    return made
