#!/usr/bin/env python3
"""One process of clients: clients.py good|rude DIRECTORY SEED NAME CLIENTS PATIENCE

They go on until the control file says stop, end what they are at, and tell what they have seen as one
JSON object on standard output.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "daemon"))

from asks import Ask, Asker, Wrong  # noqa: E402
from plan import PASSING_LISTENERS, Plan  # noqa: E402
from rawhttp import Connection, ConnectionClosed, ProtocolError, Response  # noqa: E402
from rude import HABITS  # noqa: E402

MAX_FAILURES = 20


class Control:
    """What the driver tells its clients: two numbers in a file that all of them map."""

    def __init__(self, path: Path) -> None:
        with open(path, "r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 16)).cast("Q")

    @staticmethod
    def create(path: Path) -> Control:
        path.write_bytes(bytes(16))
        return Control(path)

    @property
    def stopping(self) -> bool:
        return self._words[0] != 0

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._words[0] = value

    @property
    def generation(self) -> int:
        """Of a configuration that is in force; what is asked from now on is answered by no older one."""
        return self._words[1]

    @generation.setter
    def generation(self, value: int) -> None:
        self._words[1] = value


class Report:
    """Shared by the clients of a process."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.events: Counter[str] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def count(self, route: str, status: int) -> None:
        with self._lock:
            self.answers[route, status] += 1

    def note(self, event: str) -> None:
        with self._lock:
            self.events[event] += 1

    def fail(self, what: str) -> None:
        with self._lock:
            if len(self.failures) < MAX_FAILURES:
                self.failures.append(what[:2000])

    def write(self) -> None:
        document: dict[str, Any] = {
            "answers": [[*key, count] for key, count in sorted(self.answers.items())],
            "events": self.events,
            "failures": self.failures,
        }
        print(json.dumps(document))


class Good:
    """Asks on connections that it keeps for a while, sometimes several requests at once, and checks
    every answer."""

    def __init__(self, plan: Plan, control: Control, report: Report, name: str, seed: str) -> None:
        self.plan = plan
        self.control = control
        self.report = report
        self.chance = random.Random(seed)
        self.asker = Asker(self.chance, plan.directory, name)

    def run(self) -> None:
        listeners = ["main"] * 4 + ["budget", "unix", *PASSING_LISTENERS]
        while not self.control.stopping:
            name = self.chance.choice(listeners)
            try:
                connection = Connection(self.plan.address(name))
            except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError) as error:
                if name not in PASSING_LISTENERS:
                    self.report.fail(f"cannot connect to {name}: {error}")
                self.report.note("passing listener away")
                continue
            with connection:
                self._talk(connection, name)

    def _talk(self, connection: Connection, listener: str) -> None:
        self.asker.new_connection()
        for turn in range(self.chance.choice([1, 2, 5, 20])):
            if self.control.stopping:
                return
            asks = [self.asker.next() for _ in range(self.chance.choice([1, 1, 1, 2, 6]))]
            if any("Content-Length" in ask.headers for ask in asks):
                asks = [ask for ask in asks if "Content-Length" in ask.headers][:1]
            if self.chance.random() < 0.1:
                asks[-1].headers["Connection"] = "close"
            try:
                if not self._exchange(connection, asks):
                    return
            except (OSError, ProtocolError) as error:
                first = not turn and listener in PASSING_LISTENERS
                if first and isinstance(error, (ConnectionError, ConnectionClosed)):
                    # Whoever comes in the moment in which a socket closes is turned away by the kernel.
                    self.report.note(f"turned away by {listener}: {error!r:.60}")
                else:
                    targets = [ask.target for ask in asks]
                    self.report.fail(f"{listener}: {targets}: {error!r}")
                return
            time.sleep(self.chance.random() * 0.02)

    def _exchange(self, connection: Connection, asks: list[Ask]) -> bool:
        """False: the connection has ended, as it should."""
        generation, now = self.control.generation, time.monotonic()
        for ask in asks:
            ask.generation, ask.sent_at = generation, now
        try:
            connection.send_requests([ask.request() for ask in asks])
        except ConnectionError:
            pass  # refused before all of it was sent: the answer is there all the same
        for ask in asks:
            answer = connection.read_response()
            self._judge(ask, answer)
            if answer.closes:
                if connection.read_eof():
                    self.report.fail(f"{ask.target}: more than an answer")
                return False
        return True

    def _judge(self, ask: Ask, answer: Response) -> None:
        self.report.count(ask.counted_as(answer), answer.status)
        try:
            ask.judge(answer)
            ask.done()
        except Exception as error:
            answer_text = f"{answer.status} {answer.fields} {answer.body[:300]!r}"
            self.report.fail(f"{ask.method} {ask.target} ({ask.id}): {error!r}: {answer_text}")


class Rude:
    """Does what clients should not, and judges nothing but what no client may be answered with."""

    def __init__(self, plan: Plan, control: Control, report: Report, name: str, seed: str) -> None:
        self.plan = plan
        self.control = control
        self.report = report
        self.chance = random.Random(seed)

    def run(self) -> None:
        habits = [habit for habit in HABITS if habit.patience >= self.plan.patience]
        while not self.control.stopping:
            habit = self.chance.choices(habits, [habit.weight for habit in habits])[0]
            listener = self.chance.choice(["main", "main", "budget", "unix"])
            try:
                with Connection(self.plan.address(listener)) as connection:
                    habit.practise(connection, self.chance)
                self.report.note(f"rude: {habit.practise.__name__}")
            except TimeoutError:
                self.report.fail(f"{habit.practise.__name__}: waits without end")
            except (OSError, ConnectionClosed) as error:
                self.report.note(f"rude: cut off in {habit.practise.__name__}: {error!r:.40}")
            except (Wrong, ProtocolError) as error:
                self.report.fail(f"{habit.practise.__name__}: {error!r}")
            time.sleep(self.chance.random() * 0.05)


def run_all(clients: list[Good | Rude], report: Report) -> None:
    def run(client: Good | Rude) -> None:
        try:
            client.run()
        except BaseException as error:
            report.fail(f"a client has died: {error!r}")
            raise

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    faulthandler.register(signal.SIGUSR1)  # tells where each client is
    kind, directory, seed, name, count, patience = sys.argv[1:]
    plan = Plan(Path(directory), int(seed), float(patience), host=os.environ["SOAK_HOST"])
    control, report = Control(plan.directory / "control"), Report()
    made = Good if kind == "good" else Rude
    run_all(
        [made(plan, control, report, f"{name}-{i}", f"{seed}-{name}-{i}") for i in range(int(count))],
        report,
    )
    report.write()


if __name__ == "__main__":
    main()
