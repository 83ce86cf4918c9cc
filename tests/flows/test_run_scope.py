"""A command resolves images once; a flow without a command does without."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import (
    cards_with_sets,
    known_card,
    known_images,
    remember_card,
    resolve_images,
    run_scope,
    workplace,
)
from diamond_cutter.storage import LocalBucket
from diamond_cutter.storage.sets.layout import card_key, recipe_key
from diamond_cutter.tasks.devices import DeviceSlots
from tests.flows.made_up_set import made_up_card
from tests.waiting import AT_MOST_S


def test_a_scope_keeps_what_it_has_resolved_until_it_ends(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    place, card = str(tmp_path), made_up_card()
    resolve_images(place)
    remember_card("b", "made-up", card)
    assert known_images(place) is None and known_card("b", "made-up") is None
    with run_scope():
        found = resolve_images(place)
        with run_scope():
            assert resolve_images(place) is found
            remember_card("b", "made-up", card)
        assert known_card("b", "made-up") is known_card("b", card.key) is card
        assert known_card("elsewhere", card.key) is None
    assert known_images(place) is None and known_card("b", card.key) is None


class AskedBucket(LocalBucket):
    """A bucket that notes what it is asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked = list[str]()

    def get(self, key: str, *, want_crc: int | None = None) -> bytes:
        self.asked.append(key)
        return super().get(key, want_crc=want_crc)

    def folders(self, prefix: str = "") -> Iterator[str]:
        self.asked.append(prefix)
        return super().folders(prefix)


def test_a_scope_lists_the_models_with_sets_once_and_reads_each_card_once(tmp_path: Path) -> None:
    bucket, card = AskedBucket(tmp_path), made_up_card()
    bucket.put(card_key(card.key), card.model_dump_json().encode())
    for model in (card.key, "unreadable@00000000"):
        bucket.put(recipe_key(model, "tiny@00000000"), b"{}")
    with run_scope(), ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(copy_context().run, cards_with_sets, bucket) for _ in range(4)]
        assert [future.result() for future in asking] == 4 * [[card, None]]
    once = ["sprites/", card_key(card.key), card_key("unreadable@00000000")]
    assert bucket.asked == once
    assert cards_with_sets(bucket) == [card, None] and bucket.asked == 2 * once


def find_no_gpu_1() -> None:
    if os.environ["CUDA_VISIBLE_DEVICES"] == "1":
        raise RuntimeError("there is no such GPU")


def test_a_device_that_falls_out_is_named_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "diamond_cutter.flows.run_scope.DeviceSlots", partial(DeviceSlots, check=find_no_gpu_1)
    )
    with workplace(LOCAL, ["1", "0"]) as slots:
        assert slots.run(os.getenv, "CUDA_VISIBLE_DEVICES", timeout_s=AT_MOST_S) == "0"
    assert capsys.readouterr().err == (
        "GPU 1 has failed: there is no such GPU. The run continues on another device.\n"
    )
