"""What is seen of single images fits together, is all that a page needs, and is spread over all of
them.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.tasks.attribution.attribution import BatchAttribution, attribution_function
from diamond_cutter.tasks.attribution.batches import NumberedImage
from diamond_cutter.tasks.attribution.details import TOP_CHANNELS
from diamond_cutter.tasks.attribution.network import network_of
from diamond_cutter.tasks.attribution.spec import AttributionSpec
from diamond_cutter.tasks.photos.image_set import FoundImage
from diamond_cutter.tasks.photos.reading import read_image
from diamond_cutter.tasks.reporting import grouping
from diamond_cutter.tasks.reporting import image_details as module
from diamond_cutter.tasks.reporting.image_details import (
    CollectedDetails,
    cell_counts,
    collect_details,
    image_details,
)
from diamond_cutter.tasks.reporting.page_data import ImageDetails
from tests.small_networks import images as drawn
from tests.tasks.photos.small_images import save
from tests.toy_network import CHANNELS, IMAGE_SIZE, LAYERS, toy_bundle, toy_weights

pytestmark = pytest.mark.slow

SPEC = AttributionSpec(layers=LAYERS, groups=3, sprites="none")
CELLS = {"first": 256, "second": 256, "third": 256, "logits": 1}
NUMBERS, BAD = (10, 11, 13, 20, 21, 22), 13
HOSTILE = "</script>\u202eclass 0"


def numbered(folder: Path, numbers: tuple[int, ...] = NUMBERS) -> list[NumberedImage]:
    """Return images; one of them is none."""
    found = []
    for number, pixels in zip(numbers, drawn(len(numbers), IMAGE_SIZE), strict=True):
        file = save(folder / f"{number}.png", np.round(pixels * 255).astype(np.uint8))
        if number == BAD:
            file.write_bytes(b"no image")
        found.append(
            NumberedImage(
                number,
                FoundImage(
                    f"{HOSTILE}/{number}.png", str(file), (None, "class 1", HOSTILE)[number % 3]
                ),
            )
        )
    return found


@pytest.fixture(scope="module")
def labelled(toy: Bundle) -> Bundle:
    labels = (ClassLabel(name=HOSTILE), *toy.card.labels[1:])
    return Bundle(toy.card.model_copy(update={"labels": labels}), toy.graph_bytes)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[NumberedImage]:
    return numbered(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def seen(labelled: Bundle, images: list[NumberedImage]) -> CollectedDetails:
    looked_at: list[int] = []
    found = collect_details(labelled, SPEC, images, looked_at.append)
    assert sum(looked_at) == 5
    return found


@pytest.fixture(scope="module")
def details(seen: CollectedDetails) -> list[ImageDetails]:
    return [
        image_details(shown, seen, SPEC, f"images/{shown.image.number}.webp")
        for shown in seen.images
    ]


@pytest.fixture(scope="module")
def attributed(labelled: Bundle, images: list[NumberedImage]) -> BatchAttribution:
    pixels = np.stack(
        [read_image(each.image, labelled.card.image.shape) for each in images if each.number != BAD]
    )
    return attribution_function(network_of(labelled, LAYERS), SPEC)(pixels)


def test_images_are_in_their_order_and_what_cannot_be_read_is_passed_over(
    details: list[ImageDetails], images: list[NumberedImage]
) -> None:
    sound = [each for each in images if each.number != BAD]
    assert [(each.number, each.name, each.label) for each in details] == [
        (e.number, e.image.name, e.image.label) for e in sound
    ]
    assert [each.file for each in details] == [f"images/{each.number}.webp" for each in sound]


def test_what_a_page_loads_comes_back_from_its_json(details: list[ImageDetails]) -> None:
    for each in details:
        assert ImageDetails.model_validate_json(each.model_dump_json()) == each


def test_classes_are_the_likeliest_and_right_if_the_label_is_the_first(
    details: list[ImageDetails], attributed: BatchAttribution
) -> None:
    logits = attributed.logits.numpy()
    for each, row in zip(details, logits, strict=True):
        assert [number for number, _ in each.predicted] == np.argsort(-row).tolist()
        assert sum(share for _, share in each.predicted) == pytest.approx(1, abs=1e-3)
        named = {None: None, "class 1": 1, HOSTILE: 0}[each.label]
        assert each.right is (None if named is None else named == int(row.argmax()))
    assert {each.right for each in details} >= {None, False}


def test_maps_are_of_what_is_explained_and_the_first_is_the_whole_reports(
    details: list[ImageDetails], attributed: BatchAttribution
) -> None:
    for place, each in enumerate(details):
        first = each.explained[0]
        assert (first.positive, first.negative) == tuple(
            int(part[place]) for part in attributed.chosen
        )
        assert [(one.positive, one.negative) for one in each.explained[1:3]] == [
            (first.positive, None),
            (first.negative, None),
        ]
        for name, layer, wanted in zip(LAYERS, each.layers, attributed.layers, strict=True):
            assert len(layer.maps) == len(each.explained) == 4
            for heat in layer.maps:
                assert len(heat.values) == len(heat.channels) == CELLS[name]
                assert all(
                    len(set(cell)) == min(TOP_CHANNELS, CHANNELS[name])
                    and max(cell) < CHANNELS[name]
                    for cell in heat.channels
                )
                assert max(map(abs, heat.values)) == 127 or heat.scale < 1e-9
            values = np.array(layer.maps[0].values) * layer.maps[0].scale / 127
            # Rounded to a 127th of the highest.
            np.testing.assert_allclose(
                values, wanted.positions[place], atol=layer.maps[0].scale / 200
            )


def test_cells_name_what_leads_there_and_other_images_of_the_report(
    seen: CollectedDetails, details: list[ImageDetails]
) -> None:
    known = {each.number for each in details}
    for each in details:
        for name, layer in zip(LAYERS, each.layers, strict=True):
            assert len(layer.activated) == len(layer.same_place) == CELLS[name]
            assert len(layer.amounts) == CELLS[name]
            assert max(layer.amounts) == 255 or layer.highest <= 0
            assert all(
                len(set(cell)) == min(TOP_CHANNELS, CHANNELS[name]) for cell in layer.activated
            )
            assert all(
                set(cell) <= known - {each.number} and len(set(cell)) == len(cell) <= 3
                for cell in layer.same_place
            )
    assert any(cell for each in details for cell in each.layers[0].same_place)
    counts = cell_counts(seen, SPEC)
    for place, name in enumerate(LAYERS):
        wanted: Counter[int] = Counter()
        for each in details:
            for cell in (*each.layers[place].activated, *each.layers[place].maps[0].channels):
                wanted.update(cell[:2])
        assert counts[name] == wanted
        assert list(counts[name].values()) == sorted(counts[name].values(), reverse=True)


def test_groups_are_in_each_image_and_their_sums_are_the_reports(
    seen: CollectedDetails, details: list[ImageDetails]
) -> None:
    assert set(seen.groups) == {"first", "second", "third"}  # those that have rows and columns
    for place, name in enumerate(LAYERS):
        count = len(seen.groups[name].directions) if name in seen.groups else 0
        assert count <= 3
        for each in details:
            layer = each.layers[place]
            assert len(layer.groups) == len(layer.group_attribution) == count
            assert all(
                len(group) == CELLS[name] and 0 <= min(group) <= max(group) <= 255
                for group in layer.groups
            )
        if count:
            found, shares = (
                seen.groups[name],
                np.array([each.layers[place].group_attribution for each in details]),
            )
            np.testing.assert_allclose(found.attribution, shares.mean(axis=0), rtol=2e-3, atol=1e-4)
            predicted = np.array([each.predicted[0][0] for each in details])
            assert set(found.by_class) == set(predicted.tolist())
            for number, values in found.by_class.items():
                np.testing.assert_allclose(
                    values, shares[predicted == number].mean(axis=0), rtol=2e-3, atol=1e-4
                )
            np.testing.assert_allclose(
                np.linalg.norm(found.directions, axis=1), np.ones(count), rtol=1e-3
            )
            assert 0 < found.explained <= 1


def test_of_the_first_images_it_is_known_where_each_cell_has_what_it_sees_from(
    details: list[ImageDetails],
) -> None:
    for place, each in enumerate(details):
        for name, layer in zip(LAYERS, each.layers, strict=True):
            if place < module.SEEN_FROM and name in ("second", "third"):
                assert len(layer.seen_from) == CELLS[name]
                shares = [[share for _, share in cell] for cell in layer.seen_from]
                assert all(
                    cell == sorted(cell, reverse=True)
                    and (not cell or (cell[0] == 255 and cell[-1] > 0))
                    for cell in shares
                )
                assert all(
                    0 <= position < CELLS["first"]
                    for cell in layer.seen_from
                    for position, _ in cell
                )
                assert any(shares)
            else:
                assert layer.seen_from == ()
    # The second is a convolution of 3 x 3, and the third one of 1 x 1: each cell sees its
    # neighbours, or itself only.
    for reach, layer in ((1, details[0].layers[1]), (0, details[0].layers[2])):
        for cell, sources in enumerate(layer.seen_from):
            assert all(
                abs(cell // 16 - place // 16) <= reach and abs(cell % 16 - place % 16) <= reach
                for place, _ in sources
            )


def test_flows_and_checks_are_of_all_layers_that_have_them(seen: CollectedDetails) -> None:
    counts = {name: len(groups.directions) for name, groups in seen.groups.items()}
    assert {name: flow.shape for name, flow in seen.flows.items()} == {
        "first": (counts["first"], counts["second"]),
        "second": (counts["second"], counts["third"]),
    }
    assert all(np.isfinite(flow).all() and flow.any() for flow in seen.flows.values())
    assert set(seen.checks) == set(LAYERS)
    for checks in seen.checks.values():
        assert checks.images == 5 and checks.ablated == 1
        for spread in (checks.completeness_error, checks.drop_of_top, checks.drop_of_random):
            assert spread.lower_quartile <= spread.median <= spread.upper_quartile
    assert (
        seen.checks["logits"].completeness_error.median < 1e-4
    )  # what a score is made of adds up to it


def test_groups_checks_and_flows_are_of_images_from_all(
    labelled: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    checked: list[int] = []
    batches, check_function = module.batches, module.check_function

    def noted(images, *arguments):
        asked.append([image.number for image in images])
        return batches(images, *arguments)

    def checking(*arguments):
        check = check_function(*arguments)

        def noting(pixels, seeds, attributed):
            checked.extend(seeds.numpy().tolist())
            return check(pixels, seeds, attributed)

        return noting

    monkeypatch.setattr(module, "check_function", checking)
    monkeypatch.setattr(module, "batches", noted)
    monkeypatch.setattr(grouping, "batches", noted)
    monkeypatch.setattr(module, "GROUPED", 4)
    monkeypatch.setattr(module, "CHECKED", 5)
    found = collect_details(
        labelled,
        SPEC.model_copy(update={"layers": ("first", "third")}),
        numbered(tmp_path, tuple(range(30, 37))),
        print,
    )
    fitted, whole = asked
    assert (
        whole == list(range(30, 37))
        and fitted == [30, 31, 33, 35]
        and checked == [30, 31, 32, 34, 35]
    )
    assert found.checks["first"].images == 5 and found.flows["first"].any()


def test_a_silent_layer_has_no_groups_and_nothing_flows_through_it(tmp_path: Path) -> None:
    weights = toy_weights()
    weights["second/beta"] = np.full(8, -100, np.float32)
    spec = SPEC.model_copy(update={"layers": ("first", "second")})
    found = collect_details(
        toy_bundle(weights), spec, numbered(tmp_path, (1, 2)), lambda count: None
    )
    assert set(found.groups) == {"first"} and found.flows == {}
    for shown in found.images:
        silent = image_details(shown, found, spec, "file").layers[1]
        assert (
            silent.groups == ()
            and not any(silent.maps[0].values)
            and not any(map(any, silent.seen_from))
        )
        assert silent.same_place == ((),) * 256
    assert found.checks["second"].times is None and found.checks["second"].drop_of_top.median == 0


def test_without_groups_there_are_none(labelled: Bundle, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"groups": 0, "layers": ("third",)})
    found = collect_details(labelled, spec, numbered(tmp_path, (1,)), lambda count: None)
    assert found.groups == {} and found.flows == {}
    assert image_details(found.images[0], found, spec, "file").layers[0].group_attribution == ()


def test_where_no_image_can_be_read_nothing_is_seen(labelled: Bundle, tmp_path: Path) -> None:
    found = collect_details(
        labelled,
        SPEC.model_copy(update={"layers": ("first",)}),
        numbered(tmp_path, (BAD,)),
        lambda count: None,
    )
    assert found.images == [] and found.groups == {} and found.checks == {}
