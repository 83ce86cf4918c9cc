"""A command resolves images once; a flow without a command does without."""

from pathlib import Path

from PIL import Image

from diamond_cutter.flows.run_scope import (
    known_card,
    known_images,
    remember_card,
    resolve_images,
    run_scope,
)
from tests.flows.made_up_set import made_up_card


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
