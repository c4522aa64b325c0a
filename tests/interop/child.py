# A child process that takes requests and gives answers and events, one JSON object a line
# SPDX-License-Identifier: MIT
"""A request is a line ``{"id": 1, "op": "read", ...}`` on the child's standard input, its answer a line with the same
id on standard output; lines with ``event`` tell what happened by itself. What is no JSON, and standard error, is its
log.
"""

import collections
import itertools
import json
import subprocess
import threading
import time


class Message(dict):
    """An answer or an event, its members readable as attributes; one that is absent reads as None."""

    def __getattr__(self, name):
        return self.get(name)


class Child:
    """The process, and what has arrived from it. `name` is what errors call it, `Error` what they are."""

    name = "the child"
    Error = RuntimeError

    def __init__(self):
        self._ids = itertools.count(1)
        self._answers = {}
        self._events = []
        self._arrived = threading.Condition()
        self._errors = collections.deque(maxlen=200)
        self._child = None
        self._ended = ()  # the process whose output is at its end
        self._logger = None

    def spawn(self, command, **how):
        """Start the process, and read what it says from now on."""
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )
        self._logger = threading.Thread(target=self._log, args=(self._child,), daemon=True)
        self._logger.start()
        threading.Thread(target=self._read, args=(self._child,), daemon=True).start()

    def arrived(self, message):
        """Keep a line, with `_arrived` held."""
        if message.event:
            self._events.append(message)
        else:
            self._answers[message.id] = message

    def _read(self, child):
        for line in child.stdout:
            if not line.startswith("{"):
                self._errors.append(line)
                continue
            message = json.loads(line, object_pairs_hook=Message)
            with self._arrived:
                self.arrived(message)
                self._arrived.notify_all()
        with self._arrived:
            self._ended = child
            self._arrived.notify_all()

    def _log(self, child):
        for line in child.stderr:
            self._errors.append(line)

    def log(self):
        """The last lines that it printed besides."""
        return "".join(self._errors)

    def _until(self, found, timeout, what):
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                result = found()
                if result is not None:
                    return result
                if self._ended is self._child:
                    self._logger.join(1)
                    raise self.Error(f"{self.name} ended while waiting for {what}:\n{self.log()}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(
                        f"no {what} within {timeout} s of {self.name}\n{self.log()}"
                    )
                self._arrived.wait(left)

    def ask(self, op, timeout, /, **members):
        """Send a request and return its answer; the child's own exception or refusal as Error."""
        number = next(self._ids)
        self._child.stdin.write(json.dumps({"id": number, "op": op, **members}) + "\n")
        self._child.stdin.flush()
        answer = self._until(lambda: self._answers.pop(number, None), timeout, f"answer to {op}")
        if answer.error:
            raise self.Error(f"{op} {members}: {answer.error}")
        return answer

    def wait(self, event, timeout=5, **match):
        """Take the oldest event not yet taken that has this name and these members."""

        def found():
            for i, each in enumerate(self._events):
                if each.event == event and all(each.get(k) == v for k, v in match.items()):
                    return self._events.pop(i)
            return None

        return self._until(found, timeout, f"event {event} {match}")
