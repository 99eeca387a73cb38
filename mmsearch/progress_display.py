"""Shows the progress of long work on stderr: stage, count, rate, device and time left.

On a terminal this is a live bar, in a log file or a notebook a line every ten seconds.
"""

import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from mmsearch.text import visible

PLAIN_LINE_SECONDS = 10.0
# A stage that is over this soon is not worth a line.
SHORT_STAGE_SECONDS = 1.0
# The rate is that of the last seconds, as unchanged items and new ones take different times; with
# a slow model these hold too few steps to tell.
_RECENT_SECONDS, _FEWEST_STEPS = 15.0, 8


class ProgressDisplay:
    """A `ProgressListener` for people: `with ProgressDisplay() as progress:`."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        console = console or Console(stderr=True, quiet=quiet, highlight=False)
        self._shown: _LiveBar | _PlainLines = (
            _LiveBar(console, clock)
            if console.is_terminal and not quiet
            else _PlainLines(console, clock)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.close()

    def start(self, stage: str, total: int | None, *, device: str = "") -> None:
        """Begins a stage, which ends the one before."""
        self._shown.start(visible(stage), total, visible(device))

    def advance(self, count: int) -> None:
        """Counts items that are done."""
        self._shown.advance(count)

    def status(self, text: str) -> None:
        """Shows a text beside the current stage."""
        self._shown.status(visible(text))

    def note(self, message: str) -> None:
        """Shows a line of its own."""
        self._shown.note(visible(message))


class _Pace:
    """The recent rate of a stage, from its first step on: without what was loaded before."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, now: float, count: int) -> None:
        """Counts a step. now: seconds."""
        self._steps.append((now, count))
        while len(self._steps) > _FEWEST_STEPS and self._steps[0][0] < now - _RECENT_SECONDS:
            self._steps.popleft()

    @property
    def per_second(self) -> float:
        """Items per second; 0 before the second step."""
        if len(self._steps) < 2:
            return 0.0
        seconds = self._steps[-1][0] - self._steps[0][0]
        done = sum(count for _, count in self._steps) - self._steps[0][1]
        return done / seconds if seconds > 0 else 0.0

    def left(self, items: float | None) -> str:
        """Returns the time that so many items will take; '' if that is not known."""
        if items is None or not self.per_second:
            return ""
        return f"{clock_text(items / self.per_second)} left"


class _LiveBar:
    """One bar per stage; stages that took a while stay on the screen."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console, self._clock = console, clock
        self._bars = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            _CountColumn(),
            TextColumn("{task.fields[rate]}", style="cyan", markup=False),
            TextColumn("{task.fields[device]}", style="dim", markup=False),
            TextColumn("{task.fields[time]}", style="cyan", markup=False),
            TextColumn("{task.fields[status]}", style="dim", markup=False),
            console=console,
            get_time=clock,
        )
        self._task: TaskID | None = None

    def start(self, stage: str, total: int | None, device: str) -> None:
        self._finish_stage()
        self._bars.start()
        self._pace = _Pace()
        self._task = self._bars.add_task(
            stage, total=total, device=device, status="", rate="", time=""
        )

    def advance(self, count: int) -> None:
        if self._task is None:
            return
        self._pace.add(self._clock(), count)
        rate, remaining = self._pace.per_second, self._bars.tasks[-1].remaining
        self._bars.update(
            self._task,
            advance=count,
            rate=rate_text(rate) if rate else "",
            time=self._pace.left(None if remaining is None else max(remaining - count, 0)),
        )

    def status(self, text: str) -> None:
        if self._task is not None:
            self._bars.update(self._task, status=text)

    def note(self, message: str) -> None:
        self._console.print(message, markup=False, highlight=False)

    def close(self) -> None:
        self._finish_stage()
        self._bars.stop()

    def _finish_stage(self) -> None:
        if self._task is None:
            return
        task = self._bars.tasks[-1]
        seconds = task.elapsed or 0.0
        if seconds < SHORT_STAGE_SECONDS:
            self._bars.remove_task(self._task)
        else:
            # A bar without a total would go on pulsing beside the next one.
            total = task.completed if task.total is None else task.total
            mean = rate_text(task.completed / seconds) if task.completed else ""
            self._bars.update(self._task, total=total, rate=mean, time=clock_text(seconds))
        self._task = None


class _PlainLines:
    """A line every ten seconds of a stage, and one at its end."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._stage = ""
        self._status = ""

    def start(self, stage: str, total: int | None, device: str) -> None:
        self.close()
        self._status = ""
        self._stage, self._total, self._device = stage, total, device
        self._done, self._pace = 0, _Pace()
        self._began = self._said = self._clock()

    def advance(self, count: int) -> None:
        now = self._clock()
        self._done += count
        self._pace.add(now, count)
        if now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            self.note(self._line(now - self._began, running=True))

    def status(self, text: str) -> None:
        self._status = text

    def note(self, message: str) -> None:
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        seconds = self._clock() - self._began if self._stage else 0.0
        if seconds >= SHORT_STAGE_SECONDS:
            self.note(self._line(seconds, running=False))
        self._stage = ""

    def _line(self, seconds: float, *, running: bool) -> str:
        mean = self._done / seconds if seconds > 0 else 0.0
        rate = (self._pace.per_second or mean) if running else mean
        known = running and self._total is not None
        parts = [
            f"{self._stage}: {self._done:,} of {self._total:,}"
            if known
            else f"{self._stage}: {self._done:,}",
            rate_text(rate) if rate else "",
            self._device,
            self._status,
        ]
        if running and self._total is not None:
            parts.append(self._pace.left(self._total - self._done))
        if not running:
            parts.append(clock_text(seconds))
        return " · ".join(part for part in parts if part)


class _CountColumn(ProgressColumn):
    """The number of items done, and the total once it is known."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{total}", style="green")


def rate_text(per_second: float) -> str:
    """12,345/s · 42.1/s · 0.25/s."""
    digits = 0 if per_second >= 100 else 1 if per_second >= 1 else 2
    return f"{per_second:,.{digits}f}/s"


def clock_text(seconds: float) -> str:
    """75 seconds → '1:15', 3,700 seconds → '1:01:40'."""
    minutes, second = divmod(round(max(seconds, 0)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
