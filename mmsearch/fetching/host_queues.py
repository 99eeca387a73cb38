"""Tasks by host: a few of each host at a time, and none while it asks to be left alone."""

import heapq
import threading
import time
from collections import Counter
from itertools import count
from typing import Generic, TypeVar

Task = TypeVar("Task")


class HostQueues(Generic[Task]):
    """Hands tasks to threads, those of a host in order; a task that waits occupies no thread."""

    def __init__(self, per_host: int) -> None:
        """Starts without tasks. per_host: how many of one host are out at a time."""
        self._per_host = per_host
        self._changed = threading.Condition()
        self._waiting: dict[str, list[tuple[float, int, Task]]] = {}
        self._out: Counter[str] = Counter()
        self._paused: dict[str, float] = {}
        self._numbers = count()
        self._closed = False

    def add(self, host: str, task: Task, *, delay: float = 0.0) -> None:
        """Adds a task that may be taken after `delay` seconds."""
        with self._changed:
            entry = (time.monotonic() + delay, next(self._numbers), task)
            heapq.heappush(self._waiting.setdefault(host, []), entry)
            self._changed.notify()

    def pause(self, host: str, seconds: float) -> None:
        """Holds back all tasks of a host."""
        with self._changed:
            self._paused[host] = max(self._paused.get(host, 0.0), time.monotonic() + seconds)

    def take(self) -> tuple[str, Task] | None:
        """Waits for a task and returns it with its host; None once the queues are closed."""
        with self._changed:
            while not self._closed:
                now, soonest = time.monotonic(), None
                for host, tasks in self._waiting.items():
                    if self._out[host] >= self._per_host:
                        continue
                    ready = max(tasks[0][0], self._paused.get(host, 0.0))
                    if ready <= now:
                        return host, self._pop(host, tasks)
                    soonest = ready if soonest is None else min(soonest, ready)
                self._changed.wait(None if soonest is None else soonest - now)
            return None

    def done(self, host: str) -> None:
        """Reports that a task that was taken is finished, or was added again."""
        with self._changed:
            self._out[host] -= 1
            self._changed.notify()

    def close(self) -> None:
        """Ends all waiting; tasks that were not taken are dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pop(self, host: str, tasks: list[tuple[float, int, Task]]) -> Task:
        task = heapq.heappop(tasks)[2]
        if not tasks:
            del self._waiting[host]
        self._out[host] += 1
        return task
