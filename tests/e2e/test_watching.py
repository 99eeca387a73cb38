"""mmsearch watch as processes of their own: signals, kills, two at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import Call, environment_of
from tests.unit.test_watching import fill

DEADLINE_SECONDS = 300

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Start:
    """start(*arguments): a watcher that writes lines of JSON to a file named by its number."""
    number = iter(range(10))

    def run(*arguments: str) -> "subprocess.Popen[str]":
        log = (tmp_path / f"{next(number)}.jsonl").open("w", encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, "-m", "mmsearch", "watch", "--json", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment_of(tiny_model, MMSEARCH_WATCH_DELAY="0.3")},
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def updates(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert running.poll() is None, running.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def items(call: Call, folder: Path) -> int:
    done = call(folder, "info", "--json")
    count: int = json.loads(done.stdout)["store"]["counts"]["items"]
    return count


def test_signals_kills_and_two_watchers(start: Start, call: Call, tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", "a.png", "b.png")
    first = start("photos")
    wait_for(lambda: bool(updates(tmp_path / "0.jsonl")), first)
    assert updates(tmp_path / "0.jsonl")[0]["report"]["added"] == 2  # type: ignore[index]
    first.kill()
    first.communicate()

    # What happened meanwhile is found at the start; the source is known.
    fill(photos, "c.png")
    second, third = start(), start()
    wait_for(lambda: bool(updates(tmp_path / "1.jsonl")), second)
    wait_for(lambda: bool(updates(tmp_path / "2.jsonl")), third)
    fill(photos, *(f"{number}.png" for number in range(20)))

    def added() -> int:
        return sum(
            update["report"]["added"]  # type: ignore[index]
            for number in (1, 2)
            for update in updates(tmp_path / f"{number}.jsonl")
        )

    # Nothing is indexed twice.
    wait_for(lambda: added() >= 21, second)
    assert added() == 21
    assert items(call, tmp_path) == 23
    for running, how, code in ((second, signal.SIGTERM, 0), (third, signal.SIGINT, 130)):
        running.send_signal(how)
        _, errors = running.communicate(timeout=120)
        assert running.returncode == code, errors
        assert "what was written is kept" in errors
        assert "Traceback" not in errors
    assert call(tmp_path, "info").returncode == 0


def test_once(call: Call, tmp_path: Path) -> None:
    fill(tmp_path / "photos", "a.png")
    done = call(tmp_path, "watch", "photos", "--once")
    assert done.returncode == 0, done.stderr
    assert "added 1 · updated 0 · unchanged 0" in done.stderr
    again = call(tmp_path, "watch", "--once", "--json")
    (line,) = again.stdout.splitlines()
    document = json.loads(line)
    assert (document["version"], document["report"]["unchanged"]) == (1, 1)


def test_nothing_to_watch(call: Call, tmp_path: Path) -> None:
    done = call(tmp_path, "watch")
    assert done.returncode == 2
    assert "nothing to index; name a folder or a table" in done.stderr
