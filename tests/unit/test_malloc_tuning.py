"""Freed memory is used again inside, and as before after it."""

import resource
import subprocess
import sys
import textwrap

import pytest

from mmsearch.malloc_tuning import reused_memory

PAGES = 4 * 2**20 // resource.getpagesize()


def run(code: str, **environment: str) -> list[int]:
    """Numbers that the code prints in a process of its own, which other tests do not touch."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return [int(number) for number in done.stdout.split()]


FAULTS = """
    import resource
    import numpy as np
    from mmsearch.malloc_tuning import reused_memory

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            # Several of several sizes, as the layers of a tower have them.
            arrays = [np.ones(size * 2**20, np.uint8) for size in (64, 40, 4)]
            del arrays
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with reused_memory():
        faults()
        with reused_memory():
            print(faults())
        print(faults())
    print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_memory_that_was_freed_is_used_again() -> None:
    nested, inside, after = run(FAULTS)
    assert nested < PAGES
    assert inside < PAGES
    assert after > 10 * PAGES


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_settings_of_the_environment_stay() -> None:
    nested, _, _ = run(FAULTS, MALLOC_MMAP_MAX_="65536")
    assert nested > 10 * PAGES


def test_an_error_inside_comes_out() -> None:
    with pytest.raises(ZeroDivisionError), reused_memory():
        _ = 1 // 0
