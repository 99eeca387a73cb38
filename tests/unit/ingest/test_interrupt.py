"""Ctrl-C during a commit: the commit is finished once, then the run stops."""

import os
import signal

import pytest

from mmsearch.ingest.writing import uninterrupted


def interrupted_commit(done: list[str]) -> None:
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("written")


def failing_commit() -> None:
    with uninterrupted():
        raise OSError("disk full")


def test_ctrl_c_waits_for_the_end_of_a_commit() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_commit(done)
    assert done == ["written"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_a_commit_comes_through() -> None:
    with pytest.raises(OSError, match="full"):
        failing_commit()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
