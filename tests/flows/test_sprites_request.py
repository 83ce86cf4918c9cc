"""What can be asked for, as a user writes it: channels, classes, recipes, and what goes
together.
"""

import pytest
from pydantic import ValidationError

from diamond_cutter.flows.channel_selection import parse_channels, select
from diamond_cutter.flows.errors import RequestError, sentence
from diamond_cutter.flows.mix_expressions import MixOptions, read_mixes
from diamond_cutter.flows.request_fields import AUTO
from diamond_cutter.flows.sprites_request import SpritesRequest
from diamond_cutter.model_inventory.card import ClassLabel
from diamond_cutter.tasks.rendering.recipe import RenderRecipe
from diamond_cutter.tasks.rendering.subjects import Channels
from tests.flows.made_up_set import made_up_card

CLASSES = (
    "goldfish",
    "tabby, tabby cat",
    "tiger cat",
    "Persian cat",
    "crane",
    "crane, hoist",
    "7up",
    "drake",
    "drake, duck",
    "goose, duck",
)


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        (None, tuple(range(10))),
        ("0:3", (0, 1, 2)),
        ("7", (7,)),
        ("1,5,9", (1, 5, 9)),
        ("5,1,1", (1, 5)),
        ("8:", (8, 9)),
        ("0:2, 9", (0, 1, 9)),
        ("0:2; 9", (0, 1, 9)),
    ],
)
def test_channels_are_read(text: str | None, channels: tuple[int, ...]) -> None:
    assert parse_channels(text, "stem", 10) == channels


@pytest.mark.parametrize("text", ["10", "0:11", "3:3", "5:2"])
def test_channels_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="of layer 'stem' do not exist: expected 0 to 9"):
        parse_channels(text, "stem", 10)


@pytest.mark.parametrize("text", ["", "a", "-1", "1-3", "1,,2", ":3", "1.5", "goldfish"])
def test_channels_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="are not valid"):
        parse_channels(text, "stem", 10)


def test_classes_are_channels_of_the_logits() -> None:
    for text, channels in [
        ("goldfish", (0,)),
        ("GoldFish ; 3", (0, 3)),
        ("tabby, tabby cat", (1,)),
        ("Tabby Cat", (1,)),
        ("tabby; tiger cat", (1, 2)),
        ("tiger cat, goldfish, 7:9", (0, 2, 7, 8)),
        ("crane", (4,)),  # the whole name comes before a synonym
        ("hoist", (5,)),
        ("7up", (6,)),
        ("7", (7,)),
        (None, tuple(range(10))),
    ]:
        assert parse_channels(text, "logits", 10, CLASSES) == channels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "duck",
            "'duck' is the name of 2 classes of layer 'logits'. Give the number instead: 8, 9",
        ),
        (
            "tabby cap",
            "no class of layer 'logits' is named 'tabby cap': did you mean 'tabby, tabby cat'?",
        ),
        ("cat", "did you mean 'tabby, tabby cat' or 'tiger cat' or 'Persian cat'?"),
        ("zzz", "expected numbers (1,5,9) or classes (goldfish; tabby)"),
        ("goldfish;", "no class of layer 'logits' is named ''"),
        ("goldfish; 10", "'10' of layer 'logits' do not exist: expected 0 to 9"),
    ],
)
def test_classes_that_are_not_there_are_refused(text: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_channels(text, "logits", 10, CLASSES)
    assert said in str(refused.value)


def test_only_the_layer_of_the_logits_has_classes() -> None:
    labels = tuple(ClassLabel(name=f"class {number}") for number in range(80))
    card = made_up_card().model_copy(update={"logits_tensor": "block_0:0", "labels": labels})
    (selection,) = select(
        card, SpritesRequest(model="made-up", layers=("block_0",), channels="class 7; 1")
    )
    assert (selection.subjects, selection.numbers, selection.out_of) == (
        Channels(layer="block_0"),
        (1, 7),
        80,
    )
    with pytest.raises(
        RequestError, match=r"of layer 'stem' are not valid.*only logits have names"
    ):
        select(card, SpritesRequest(model="made-up", layers=("all",), channels="class 7"))


def test_mixes_are_selected_whole() -> None:
    mixes = read_mixes(MixOptions(mix=("stem:1 + block_0:2", "stem:3")))
    (selection,) = select(made_up_card(), SpritesRequest(model="made-up", mixes=mixes))
    assert (selection.subjects, selection.numbers, selection.out_of) == (mixes, (0, 1), 2)


def test_a_request_survives_json_and_refuses_what_it_does_not_know() -> None:
    mixes = read_mixes(MixOptions(mix=("stem:1 + block_0:2", "stem:3")))
    for request in (
        SpritesRequest(model="made-up", layers=("stem",), channels="0:4"),
        SpritesRequest(model="made-up", mixes=mixes),
    ):
        assert SpritesRequest.model_validate_json(request.model_dump_json()) == request
    with pytest.raises(ValidationError):
        SpritesRequest.model_validate({"model": "efficientnet-lite0", "colour": "red"})


def test_a_recipe_is_a_name_or_an_object() -> None:
    def recipe(given: object) -> RenderRecipe:
        return SpritesRequest.model_validate({"model": "made-up", "recipe": given}).recipe

    assert (
        recipe("lucid") == recipe({"name": "lucid"}) == RenderRecipe(name="lucid") != RenderRecipe()
    )
    assert recipe({"name": "lucid", "steps": 7}) == RenderRecipe(name="lucid", steps=7)
    assert recipe({"steps": 7}) == RenderRecipe(steps=7)
    with pytest.raises(ValidationError) as refused:
        recipe("lucd")
    assert sentence(refused.value).startswith(
        "recipe is not valid: the recipe 'lucd' does not exist: expected auto, fast, tiny, lucid"
    )


def test_the_model_s_own_recipe_is_taken_as_it_is() -> None:
    assert SpritesRequest(model="made-up").recipe.name == AUTO
    assert SpritesRequest.model_validate(
        {"model": "made-up", "recipe": {"name": AUTO}}
    ) == SpritesRequest(model="made-up")
    with pytest.raises(ValidationError) as refused:
        SpritesRequest.model_validate({"model": "made-up", "recipe": {"name": AUTO, "steps": 7}})
    assert sentence(refused.value).startswith(
        "the recipe auto cannot be changed. Change fields of another recipe"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"layers": ("stem",)}, "mixes name their own layers"),
        ({"channels": "0:3"}, "mixes name their own layers"),
        ({"photos": "holiday"}, "photos cannot be compared with mixes"),
    ],
)
def test_mixes_stand_by_themselves(fields: dict[str, object], said: str) -> None:
    mixes = read_mixes(MixOptions(mix=("stem:1",)))
    with pytest.raises(ValidationError) as refused:
        SpritesRequest.model_validate({"model": "made-up", "mixes": mixes, **fields})
    assert sentence(refused.value).startswith(said)


def test_photos_do_not_go_with_what_pushes_channels_down() -> None:
    with pytest.raises(ValidationError) as refused:
        SpritesRequest(model="made-up", photos="holiday", recipe=RenderRecipe(negative=True))
    assert sentence(refused.value).startswith("photos cannot be compared with negative sprites")


def test_a_deployment_s_folders_do_not_depend_on_where_it_was_made(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    request = SpritesRequest(model="made-up", photos="holiday").lasting()
    assert (request.bucket, request.photos) == (f"{tmp_path}/bucket", f"{tmp_path}/holiday")
    assert SpritesRequest(model="made-up", bucket="gs://somewhere").lasting().photos is None
    for url in ("gs://place/my photos", "file:///my%20photos"):
        assert SpritesRequest(model="made-up", photos=url).lasting().photos == url
