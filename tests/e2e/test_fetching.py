"""Tables that name images by URL, indexed from a local server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Call, environment_of
from tests.support.faulty_server import HOST, Site, serving
from tests.unit.fetching.test_client import png

COLOURS = {"red": (200, 30, 30), "green": (20, 180, 40), "blue": (30, 40, 210)}


@pytest.fixture
def site() -> Iterator[Site]:
    images = {f"/{name}.png": png(colour) for name, colour in COLOURS.items()}
    etags = {path: f'"{path}"' for path in images}
    with serving(Site(images=images, etags=etags)) as running:
        yield running


@pytest.fixture
def table(site: Site, tmp_path: Path) -> Path:
    return write_table(tmp_path, site, [*COLOURS])


def write_table(folder: Path, site: Site, names: list[str]) -> Path:
    path = folder / "shop.csv"
    rows = [f"{name},A {name} thing,{site.url}/{name}.png" for name in names]
    path.write_text("\n".join(["id,title,image", *rows]), encoding="utf-8")
    return path


def indexed(call: Call, folder: Path, *arguments: str) -> dict[str, object]:
    done = call(folder, "index", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)["report"]
    return report


def test_fetched_images_are_indexed_and_found(
    call: Call, table: Path, site: Site, tmp_path: Path
) -> None:
    report = indexed(call, tmp_path, str(table), "--fetch", "--fetch-from", HOST)
    assert (report["added"], report["decoded"], report["failures"]) == (3, 3, [])
    found = call(tmp_path, "search", "--like", "shop/red", "--target", "image", "--json", "-k", "2")
    hits = json.loads(found.stdout)["hits"]
    assert len(hits) == 2
    for hit in hits:
        assert Path(hit["uri"]).parent.parent == tmp_path / ".mmsearch" / "pictures"
        assert hit["record"]["image_url"] == f"{site.url}/{hit['record']['title'].split()[1]}.png"


def test_an_unchanged_table_asks_nothing(
    call: Call, table: Path, site: Site, tmp_path: Path
) -> None:
    indexed(call, tmp_path, str(table), "--fetch", "--fetch-from", HOST)
    asked = site.asked.total()
    # --fetch is remembered.
    report = indexed(call, tmp_path)
    assert (report["unchanged"], report["decoded"]) == (3, 0)
    assert site.asked.total() == asked


def test_new_rows_are_fetched_and_changed_images_with_refetch(
    call: Call, table: Path, site: Site, tmp_path: Path
) -> None:
    write_table(tmp_path, site, ["red", "green"])
    indexed(call, tmp_path, str(table), "--fetch-from", HOST)
    write_table(tmp_path, site, [*COLOURS])
    report = indexed(call, tmp_path, "--fetch-from", HOST)
    assert (report["added"], report["unchanged"]) == (1, 2)
    site.images["/red.png"], site.etags["/red.png"] = png((1, 1, 1)), '"new"'
    report = indexed(call, tmp_path, "--fetch-from", HOST, "--refetch")
    assert (report["updated"], report["unchanged"], report["decoded"]) == (1, 2, 1)


def test_failures_are_listed_and_tried_again(
    call: Call, table: Path, site: Site, tmp_path: Path
) -> None:
    del site.images["/blue.png"]
    report = indexed(call, tmp_path, str(table), "--fetch-from", HOST)
    assert report["added"] == 3
    listed = call(tmp_path, "info", "--failures", "--json")
    failures = json.loads(listed.stdout)["failures"]
    assert [(each["key"], each["stage"], each["reason"]) for each in failures] == [
        ("shop/blue", "fetch", "HTTP 404 (Not Found)")
    ]
    site.images["/blue.png"] = png(COLOURS["blue"])
    assert indexed(call, tmp_path, "--fetch-from", HOST)["updated"] == 0
    report = indexed(call, tmp_path, "--fetch-from", HOST, "--retry")
    assert (report["updated"], report["failures"]) == (1, [])


def test_a_damaged_download_is_repeated_by_retry(
    call: Call, table: Path, site: Site, tmp_path: Path
) -> None:
    whole = site.images["/red.png"]
    site.images["/red.png"] = whole[: len(whole) // 2]
    report = indexed(call, tmp_path, str(table), "--fetch-from", HOST)
    assert [each["stage"] for each in report["failures"]] == ["decode"]  # type: ignore[attr-defined]
    site.images["/red.png"] = whole
    report = indexed(call, tmp_path, "--fetch-from", HOST, "--retry")
    assert (report["updated"], report["failures"]) == (1, [])


def test_private_addresses_are_refused(call: Call, table: Path, site: Site, tmp_path: Path) -> None:
    done = call(tmp_path, "index", str(table), "--fetch", "--json")
    assert done.returncode == 0, done.stderr
    reasons = {each["reason"] for each in json.loads(done.stdout)["report"]["failures"]}
    assert len(reasons) == 1
    assert "not a public address" in reasons.pop()
    assert not site.asked


def test_dry_run_asks_nothing(call: Call, table: Path, site: Site, tmp_path: Path) -> None:
    report = indexed(call, tmp_path, str(table), "--fetch-from", HOST, "--dry-run")
    assert report["added"] == 3
    assert not site.asked
    assert not (tmp_path / ".mmsearch").exists()


def test_equal_images_under_several_keys_stay_apart(call: Call, site: Site, tmp_path: Path) -> None:
    rows = [f"{number},Thing {number},{site.url}/red.png" for number in range(2, 4)]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(["id,title,image", *rows]), encoding="utf-8")
    indexed(call, tmp_path, str(path), "--fetch-from", HOST)
    first = f"1,Thing 1,{site.url}/red.png"
    path.write_text("\n".join(["id,title,image", first, *rows]), encoding="utf-8")
    report = indexed(call, tmp_path, "--fetch-from", HOST)
    assert (report["added"], report["moved"], report["unchanged"]) == (1, 0, 2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_resumed(
    tiny_model: Path, call: Call, site: Site, tmp_path: Path, how: signal.Signals
) -> None:
    count = 200
    names = [f"slow/{number}" for number in range(count)]
    site.images.update({f"/{number}.png": png((number, 1, 1)) for number in range(count)})
    table = tmp_path / "shop.csv"
    rows = [f"{number},Thing {number},{site.url}/{name}.png" for number, name in enumerate(names)]
    table.write_text("\n".join(["id,title,image", *rows]), encoding="utf-8")
    arguments = ["index", str(table), "--fetch-from", HOST]
    running = subprocess.Popen(
        [sys.executable, "-m", "mmsearch", *arguments],
        cwd=tmp_path,
        env={**environment_of(tiny_model), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while site.asked.total() < 40 and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(how)
    _, errors = running.communicate(timeout=120)
    if how is signal.SIGINT:
        assert running.returncode == 130, errors
        assert "run the same command to resume" in errors
        assert "Traceback" not in errors
    asked = dict(site.asked)
    assert len(asked) < count
    report = indexed(call, tmp_path, "--fetch-from", HOST)
    assert report["failures"] == []
    again = [path for path in asked if site.asked[path] > asked[path]]
    # What was under way when the run ended, four of a host, is asked again.
    assert len(again) <= 5
