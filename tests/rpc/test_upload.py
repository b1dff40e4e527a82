# SPDX-License-Identifier: MIT
"""Downloads by offset: the smallest stream, what becomes of refusals, and going on."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from serial_runtime.errors import BlobError, LinkClosed, StoreError
from serial_runtime.plc.coding import PATCH, PLAIN, ZSTD
from serial_runtime.rpc.image_cache import ImageCache
from serial_runtime.rpc.upload import Sent

BASE = bytes(random.Random(7).choices(range(64), k=60_000))
EDITED = BASE[:30_000] + b"a statement" + BASE[30_000:]
NOISE = random.Random(8).randbytes(60_000)


@pytest.fixture(autouse=True)
def _fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def opened(plc: Any) -> list[int]:
    """The codings of the uploads that were opened."""
    return [call[1] for call in plc.calls if call[0] == "open"]


def test_the_first_time_compressed_then_as_a_patch(client: Any, plc: Any) -> None:
    sent = client.download(BASE)
    assert sent == Sent(plc.sent(), "compressed")
    assert sent.bytes_sent < len(BASE)
    plc.calls.clear()
    sent = client.download(EDITED)
    assert plc.image == EDITED
    assert sent == Sent(plc.sent(), "patch")
    assert sent.bytes_sent < 200


def test_another_client_of_the_same_user_patches_too(bench: Any, plc: Any) -> None:
    with bench.client() as client:
        client.download(BASE)
    with bench.client() as client:
        assert client.download(EDITED).coding == "patch"


def test_whole_sends_no_patch(client: Any, plc: Any) -> None:
    client.download(BASE)
    assert client.download(EDITED, whole=True).coding == "compressed"


def test_without_the_base_it_goes_compressed(client: Any, plc: Any) -> None:
    client.download(BASE)
    for path in Path(ImageCache()._directory).iterdir():
        path.unlink()
    assert client.download(EDITED).coding == "compressed"


def test_what_does_not_compress_goes_as_it_is(client: Any, plc: Any) -> None:
    assert client.download(NOISE) == Sent(len(NOISE), "as it is")


def test_a_board_that_cannot_decompress(
    client: Any, plc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serial_runtime.rpc.service.codings", lambda: 1)
    client.download(BASE)
    client.download(EDITED)
    assert plc.image == EDITED
    assert opened(plc) == [PLAIN, PLAIN]


def test_another_program_came_in_between(bench: Any, client: Any, plc: Any) -> None:
    """The board refuses the patch when it is opened."""
    client.download(BASE)
    open_upload = plc.open_upload

    def changed(owner: Any, plan: Any) -> Any:
        plc.open_upload, plc.md5 = open_upload, "0" * 32
        return open_upload(owner, plan)

    plc.open_upload = changed
    plc.calls.clear()
    assert client.download(EDITED).coding == "compressed"
    assert opened(plc) == [PATCH, ZSTD]
    assert plc.image == EDITED


def test_a_base_that_is_damaged_on_the_board(client: Any, plc: Any) -> None:
    """The patch gives another file: sent once more, for it may have been damaged, then whole."""
    client.download(BASE)
    plc.image = BASE[:-1] + b"\xff"
    plc.calls.clear()
    assert client.download(EDITED).coding == "compressed"
    assert opened(plc) == [PATCH, PATCH, ZSTD]
    assert plc.image == EDITED


def test_a_stream_damaged_on_the_board_is_sent_once_more(client: Any, plc: Any) -> None:
    finish = plc.finish_upload

    def damaged(owner: Any) -> None:
        plc.finish_upload = finish
        digest = plc.uploads[owner].digest
        plc.streams[digest] = b"\xff" + plc.streams[digest][1:]
        finish(owner)

    plc.finish_upload = damaged
    client.download(NOISE)
    assert plc.image == NOISE
    assert plc.sent() == 2 * len(NOISE)
    assert opened(plc) == [PLAIN, PLAIN]


def test_a_board_whose_decompressor_fails_gets_the_file_as_it_is(client: Any, plc: Any) -> None:
    finish = plc.finish_upload

    def broken(owner: Any) -> None:
        if plc.uploads[owner].coding != PLAIN:
            raise StoreError("this board cannot decompress")
        finish(owner)

    plc.finish_upload = broken
    assert client.download(BASE).coding == "as it is"
    assert plc.image == BASE


@pytest.mark.parametrize("method", ["open_upload", "write_upload", "finish_upload"])
def test_a_lack_of_room_ends_it_at_once(client: Any, plc: Any, method: str) -> None:
    """Another stream would not fit either; what was sent is not sent again for nothing."""
    calls: list[str] = []

    def full(*arguments: Any) -> None:
        calls.append(method)
        raise BlobError("no room: remove something")

    setattr(plc, method, full)
    with pytest.raises(BlobError, match="no room: remove something"):
        client.download(BASE)
    assert "finish" not in plc.calls
    assert ("new_plc", hashlib.md5(BASE).hexdigest()) not in plc.calls
    assert len(opened(plc)) <= 1
    assert len(calls) == 1 or method == "write_upload"  # more chunks were under way


def test_a_torn_end_begins_again_and_a_whole_one_does_not(client: Any, plc: Any) -> None:
    digest = hashlib.sha256(NOISE).digest()
    plc.streams[digest] = NOISE[:40_000] + bytes(1000)
    client.download(NOISE)
    assert plc.sent() == len(NOISE)
    plc.calls.clear()
    plc.streams[digest] = NOISE[:41_000]
    seen: list[int] = []
    sent = client.download(NOISE, whole=True, progress=lambda done, total: seen.append(done))
    assert sent.bytes_sent == plc.sent() == len(NOISE) - 41_000
    assert sent.bytes_kept == 41_000
    assert seen[1] == 41_000 < seen[2]  # progress is of the file, not of this run


def test_a_client_that_was_killed_goes_on_in_a_new_session(bench: Any, plc: Any) -> None:
    class Killed(BaseException):
        pass

    def progress(done: int, total: int) -> None:
        if done > 30_000:
            raise Killed

    first = bench.client()
    with pytest.raises(Killed):
        first.download(NOISE, progress=progress)
    bench.ends[-1].cut()  # no goodbye
    before = plc.sent()
    assert before > 30_000
    with bench.client() as again:
        sent = again.download(NOISE)
    assert plc.image == NOISE
    assert sent.bytes_sent <= len(NOISE) - 30_000
    first.close()


def test_a_link_that_does_not_come_back_loses_nothing(bench: Any, plc: Any) -> None:
    def progress(done: int, total: int) -> None:
        if done > 20_000:
            bench.ends[-1].cut()
            client.link._open_transport = away

    def away() -> Any:
        raise LinkClosed("unplugged")

    client = bench.client(reconnect_s=0.0)
    with pytest.raises(LinkClosed):
        client.download(NOISE, progress=progress)
    client.close()
    with bench.client() as again:
        assert again.download(NOISE).bytes_sent <= len(NOISE) - 20_000
    assert plc.image == NOISE


def test_a_board_that_restarts_again_and_again(bench: Any, plc: Any, client: Any) -> None:
    boots = itertools.count(0x2000)
    due = iter([10_000, 25_000, 40_000])
    mark = next(due)

    def progress(done: int, total: int) -> None:
        nonlocal mark
        if done >= mark and done < total:
            mark = next(due, total + 1)
            bench.boot(next(boots))

    sent = client.download(NOISE, extra_files=[("a", BASE), ("b", b"")], progress=progress)
    assert plc.image == NOISE
    assert plc.extra == {"a": BASE, "b": b""}
    assert plc.sent() <= sent.bytes_sent < 2.5 * len(NOISE)


def test_two_extra_files_with_one_content(client: Any, plc: Any) -> None:
    client.download(BASE, extra_files=[("a", b"same"), ("b", b"same"), ("c", BASE)])
    assert plc.extra == {"a": b"same", "b": b"same", "c": BASE}


def test_a_board_that_holds_more_than_there_is_gets_all_of_it(client: Any, plc: Any) -> None:
    opened = plc.open_upload

    def more(owner: Any, plan: Any) -> tuple[int, bytes]:
        opened(owner, plan)
        return 1000, hashlib.md5(b"").digest()

    plc.open_upload = more
    client.download(b"program", extra_files=[("empty", b"")])
    assert plc.image == b"program"
    assert plc.extra == {"empty": b""}


def test_the_chunk_is_asked_for_again_each_time(
    client: Any, plc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = iter(itertools.chain([1000, 500], itertools.repeat(2000)))
    monkeypatch.setattr(type(client.link), "chunk", property(lambda self: next(chunks)))
    client.download(NOISE)
    sizes = [call[1] for call in plc.calls if call[0] == "write"]
    assert sizes[:3] == [1000, 500, 2000]
    assert plc.image == NOISE


def test_chunks_are_cut_when_the_line_is_about_to_need_them(
    bench: Any, plc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk cut long before does not have the length that the line's loss suggests by now."""
    bench.rate_Bps = 100_000.0
    client = bench.client()
    cut: list[Any] = []
    waiting: list[int] = []
    submit = client.link.submit

    def watched(*call: Any, **how: Any) -> Any:
        waiting.append(sum(1 for request in cut if not request.transmissions))
        cut.append(submit(*call, **how))
        return cut[-1]

    monkeypatch.setattr(client.link, "submit", watched)
    client.download(NOISE[:30_000])
    assert plc.image == NOISE[:30_000]
    assert max(waiting) == 2
