"""URLs become files, each requested as rarely as possible."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmsearch.config import read_settings
from mmsearch.fetching import fetcher
from mmsearch.fetching.errors import FetchError
from mmsearch.fetching.fetcher import Fetcher, FetchOptions
from tests.support.faulty_server import HOST, Site, serving
from tests.unit.fetching.test_client import RED, png

Fetch = Callable[..., "Path | str"]


@pytest.fixture
def site() -> Iterator[Site]:
    images = {"/red.png": RED, "/green.png": png((10, 200, 10))}
    with serving(Site(images=images, etags={"/red.png": '"v1"'})) as running:
        yield running


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "FIRST_DELAY_SECONDS", 0.05)


@pytest.fixture
def fetch(site: Site, tmp_path: Path) -> Fetch:
    """fetch(path, **options): the file of a URL, or the reason why there is none, in one run."""

    def run(path: str, *, damaged: bool = False, settings: dict[str, object] | None = None,
            **options: bool) -> Path | str:  # fmt: skip
        given = {"fetch_from": (HOST,), "fetch_timeout": 5.0, **(settings or {})}
        with Fetcher(
            tmp_path / "pictures",
            read_settings(**given),
            FetchOptions(**options),
        ) as fetcher:
            try:
                return fetcher.fetch(site.url + path, damaged=damaged).result(timeout=60)
            except FetchError as error:
                return str(error)

    return run


def test_a_file_named_by_its_content(fetch: Fetch, tmp_path: Path) -> None:
    file = fetch("/red.png")
    assert isinstance(file, Path)
    assert file.read_bytes() == RED
    assert file.suffix == ".png"
    assert file.parent.parent == tmp_path / "pictures"


def test_an_image_that_is_there_is_not_asked_for(fetch: Fetch, site: Site) -> None:
    first, second = fetch("/red.png"), fetch("/red.png", retry=True)
    assert first == second
    assert site.asked["/red.png"] == 1


def test_a_file_that_was_deleted_is_fetched_again(fetch: Fetch, site: Site) -> None:
    first = fetch("/red.png")
    assert isinstance(first, Path)
    first.unlink()
    assert fetch("/red.png") == first
    assert first.read_bytes() == RED
    assert site.asked["/red.png"] == 2


def test_refetch_keeps_what_has_not_changed(fetch: Fetch, site: Site) -> None:
    first = fetch("/red.png")
    assert fetch("/red.png", refetch=True) == first
    assert site.asked["/red.png"] == 2
    site.images["/red.png"], site.etags["/red.png"] = png((1, 2, 3)), '"v2"'
    changed = fetch("/red.png", refetch=True)
    assert isinstance(changed, Path)
    assert changed != first
    assert changed.read_bytes() == site.images["/red.png"]


def test_refresh_asks_when_an_image_is_old(fetch: Fetch, site: Site) -> None:
    fetch("/red.png")
    fetch("/red.png", settings={"fetch_refresh": 1.0})
    assert site.asked["/red.png"] == 1
    fetch("/red.png", settings={"fetch_refresh": 0.0})
    assert site.asked["/red.png"] == 2


def test_an_image_stays_while_its_url_does_not_answer(fetch: Fetch, site: Site) -> None:
    first = fetch("/red.png")
    del site.images["/red.png"]
    assert fetch("/red.png", refetch=True) == first
    assert fetch("/red.png") == first


def test_a_failure_is_remembered_until_retry(fetch: Fetch, site: Site) -> None:
    assert fetch("/late.png") == "HTTP 404 (Not Found)"
    site.images["/late.png"] = RED
    assert fetch("/late.png") == "HTTP 404 (Not Found)"
    assert site.asked["/late.png"] == 1
    assert isinstance(fetch("/late.png", retry=True), Path)


def test_passing_failures_are_tried_three_times(fetch: Fetch, site: Site) -> None:
    assert isinstance(fetch("/error-then-image"), Path)
    assert site.asked["/error-then-image"] == 2
    assert fetch("/always-500") == "HTTP 500 (Internal Server Error)"
    assert site.asked["/always-500"] == 3


def test_retry_after_is_waited_for(fetch: Fetch, site: Site) -> None:
    site.waits = ["1"]
    started = time.monotonic()
    assert isinstance(fetch("/busy"), Path)
    assert time.monotonic() - started >= 1


def test_a_long_retry_after_is_left_to_the_next_run(fetch: Fetch, site: Site) -> None:
    site.waits = ["3600"]
    assert fetch("/busy") == "HTTP 429 (Too Many Requests)"
    assert isinstance(fetch("/busy"), Path)


def test_a_private_host_is_asked_once_it_is_allowed(fetch: Fetch, site: Site) -> None:
    refused = fetch("/red.png", settings={"fetch_from": ()})
    assert str(refused).startswith("127.0.0.1 is not a public address; allow it with `fetch_from`")
    assert not site.asked
    assert isinstance(fetch("/red.png"), Path)


def test_a_damaged_image_is_downloaded_again(fetch: Fetch, site: Site) -> None:
    fetch("/red.png")
    site.images["/red.png"] = png((5, 5, 5))
    file = fetch("/red.png", damaged=True, retry=True)
    assert isinstance(file, Path)
    assert file.read_bytes() == site.images["/red.png"]


def test_offline_uses_what_is_there_and_writes_nothing(
    fetch: Fetch, site: Site, tmp_path: Path
) -> None:
    assert fetch("/red.png", offline=True) == "not fetched yet"
    assert not (tmp_path / "pictures").exists()
    file = fetch("/red.png")
    assert fetch("/red.png", offline=True) == file
    assert site.asked["/red.png"] == 1


def test_equal_urls_in_flight_are_requested_once(site: Site, tmp_path: Path) -> None:
    with Fetcher(tmp_path, read_settings(fetch_from=(HOST,)), FetchOptions()) as running:
        futures = [running.fetch(f"{site.url}/slow/green.png") for _ in range(20)]
        files = {future.result() for future in futures}
    assert len(files) == 1
    assert site.asked["/slow/green.png"] == 1


def test_few_requests_of_a_host_at_once(site: Site, tmp_path: Path) -> None:
    settings = read_settings(fetch_from=(HOST,), fetch_per_host=3, fetch_connections=8)
    with Fetcher(tmp_path, settings, FetchOptions()) as running:
        futures = [running.fetch(f"{site.url}/slow/red.png?{n}") for n in range(24)]
        for future in futures:
            future.result()
    assert site.most_at_once == 3


def test_a_host_that_is_down_is_given_up(tmp_path: Path) -> None:
    with serving(Site()) as gone:
        url = gone.url
    settings = read_settings(fetch_from=(HOST,), fetch_per_host=1)
    with Fetcher(tmp_path, settings, FetchOptions()) as running:
        reasons = [running.fetch(f"{url}/{n}.png").exception(timeout=60) for n in range(5)]
    assert "no connection" in str(reasons[0])
    assert str(reasons[-1]) == "127.0.0.1 could not be reached; the next run tries again"
    with Fetcher(tmp_path, settings, FetchOptions()) as running:
        again = running.fetch(f"{url}/0.png").exception(timeout=60)
    assert "no connection" in str(again)


def test_stopping_ends_the_threads(site: Site, tmp_path: Path) -> None:
    with Fetcher(tmp_path, read_settings(fetch_from=(HOST,)), FetchOptions()) as running:
        for number in range(200):
            running.fetch(f"{site.url}/slow/red.png?{number}")
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in running._threads) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(thread.is_alive() for thread in running._threads)
    assert site.asked.total() < 200


def test_a_full_disk_reaches_the_caller(site: Site, tmp_path: Path) -> None:
    with Fetcher(
        tmp_path / "pictures", read_settings(fetch_from=(HOST,)), FetchOptions()
    ) as running:
        # A file lies where the folder of this image would be.
        for number in range(256):
            (tmp_path / "pictures" / f"{number:02x}").write_bytes(b"")
        with pytest.raises((FileExistsError, NotADirectoryError)):
            running.fetch(f"{site.url}/red.png").result(timeout=60)
