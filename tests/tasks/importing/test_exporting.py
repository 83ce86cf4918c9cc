"""Which Keras model an exported bundle came from; tests/flows/cli/test_export.py exports more."""

import re
from pathlib import Path

import keras
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.errors import NoKerasModel
from diamond_cutter.model_inventory.keras.applications import build, to_bundle
from diamond_cutter.model_inventory.keras.catalogue import KERAS_APPLICATIONS, keras_source
from diamond_cutter.storage import open_bucket
from diamond_cutter.storage.sets.layout import card_key
from diamond_cutter.tasks.importing.exporting import export_model, lineage
from diamond_cutter.tasks.importing.stored import keep_bundle
from tests.model_inventory.keras.attached_bundles import with_new_layers


@pytest.mark.slow
def test_a_network_of_keras_is_exported_with_the_weights_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIAMOND_CUTTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    name, bucket = "keras/mobilenet", str(tmp_path / "bucket")
    model, file = build(name, 32, classes=10), KERAS_APPLICATIONS[name].own_file
    file.parent.mkdir(parents=True)
    model.save(file)
    card = keep_bundle(bucket, to_bundle(name, model, keras_source(name), 32))

    def export(folder: str, source: Path | None = None) -> str | None:
        exported = export_model(bucket, card.key, tmp_path / folder, source)
        assert (exported.keras is None) == (exported.why_no_keras is not None)
        return exported.why_no_keras

    assert export("whole") is None
    assert keras.saving.load_model(tmp_path / "whole" / "model.keras").count_params() > 1e6
    moved = file.rename(tmp_path / "moved.h5")
    assert re.match(
        f"the weights of {name} are not on this machine. Run `diamond-cutter ", str(export("bare"))
    )
    assert export("given", moved) is None
    file.write_bytes(b"others")
    assert "on this machine are not those in the bucket" in str(export("others"))


def test_cards_of_earlier_models_are_found_and_may_be_missing_or_refer_to_each_other(
    toy: Bundle, tmp_path: Path
) -> None:
    bucket = str(tmp_path)
    new = with_new_layers(toy, ["first", "third"])
    keep_bundle(bucket, new)
    place = open_bucket(bucket)
    with pytest.raises(NoKerasModel, match=r"has layers attached to toy@\w+, which is not in the"):
        lineage(place, new.card)
    keep_bundle(bucket, toy)
    assert [card.name for card in lineage(place, new.card)] == ["toy", "new"]
    looped = toy.card.model_copy(
        update={"attached": new.card.attached.model_copy(update={"model": new.card.key})}
    )
    (Path(bucket) / card_key(toy.card.key)).write_text(looped.model_dump_json())
    with pytest.raises(NoKerasModel, match="which is not in the bucket"):
        lineage(place, new.card)
