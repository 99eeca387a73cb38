"""Progress on a log file and on a terminal, and none where none is wanted."""

import io

import pytest
from rich.console import Console

from mmsearch.cli.output.progress import ProgressDisplay, clock_text, rate_text


class Clock:
    """Time that passes only when told to."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def run(display: ProgressDisplay, clock: Clock) -> None:
    with display as progress:
        progress.start("encode", 1200, device="cuda:0")
        for _ in range(6):
            clock.seconds += 4
            progress.advance(100)
        progress.note("a\x1b[2J note [bold]")
        progress.start("check", 3)
        clock.seconds += 0.5
        progress.start("build index", None)
        clock.seconds += 80
        progress.advance(7)


def written(*, quiet: bool = False, terminal: bool = False) -> str:
    clock, file = Clock(), io.StringIO()
    console = Console(file=file, width=100, force_terminal=terminal, quiet=quiet)
    run(ProgressDisplay(quiet=quiet, console=console, clock=clock), clock)
    return file.getvalue()


def test_a_log_gets_a_line_every_ten_seconds_and_one_per_stage_of_a_second() -> None:
    assert written().splitlines() == [
        "encode: 300 of 1,200 · 25.0/s · cuda:0 · 0:36 left",
        "encode: 600 of 1,200 · 25.0/s · cuda:0 · 0:24 left",
        "a\\x1b[2J note [bold]",
        "encode: 600 · 25.0/s · cuda:0 · 0:24",
        "build index: 7 · 0.09/s",
        "build index: 7 · 0.09/s · 1:20",
    ]


def seconds_left(line: str) -> int:
    minutes, seconds = line.rpartition(" · ")[2].removesuffix(" left").split(":")
    return 60 * int(minutes) + int(seconds)


@pytest.mark.parametrize(
    ("steps", "total", "told_from"),
    [
        # A model is loaded for eight seconds before the first of even batches.
        ([(8, 0), *[(1.6, 32)] * 60], 1920, 12),
        # A resumed run: what is unchanged takes no time, what is new does.
        ([*[(0.0001, 1)] * 3000, *[(1.6, 32)] * 60], 4920, 20),
        # A slow model: a batch takes longer than the rate is measured over.
        ([(40, 8)] * 30, 240, 80),
    ],
)
def test_the_time_left_is_right_within_a_third(
    steps: list[tuple[float, int]], total: int, told_from: float
) -> None:
    clock, file = Clock(), io.StringIO()
    console = Console(file=file, width=100, force_terminal=False)
    whole, checked = sum(seconds for seconds, _ in steps), 0
    with ProgressDisplay(console=console, clock=clock) as progress:
        progress.start("encode", total)
        began = clock.seconds
        for seconds, count in steps:
            clock.seconds += seconds
            before = file.tell()
            if count:
                progress.advance(count)
            line = file.getvalue()[before:].strip()
            left = whole - (clock.seconds - began)
            if line.endswith(" left") and clock.seconds - began >= told_from and left > 5:
                assert seconds_left(line) == pytest.approx(left, rel=1 / 3), line
                checked += 1
    assert checked > 3


def test_quiet_says_nothing_anywhere() -> None:
    assert written(quiet=True) == written(quiet=True, terminal=True) == ""


def test_a_terminal_gets_bars_and_the_note() -> None:
    shown = written(terminal=True)
    assert "encode" in shown
    assert "600 of 1,200" in shown
    assert "cuda:0" in shown
    assert "7 of 7" in shown
    assert "a\\x1b[2J note [bold]" in shown
    assert shown.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_numbers_for_people() -> None:
    assert [rate_text(r) for r in (12345.6, 42.06, 0.254)] == ["12,346/s", "42.1/s", "0.25/s"]
    assert [clock_text(s) for s in (-1, 59.6, 75, 3700)] == ["0:00", "1:00", "1:15", "1:01:40"]
