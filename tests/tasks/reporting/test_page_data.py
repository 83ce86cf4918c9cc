"""Numbers go into a script and come back; nothing else that a browser would run does."""

import json

import pytest
from pydantic import BaseModel

from diamond_cutter.storage import Corrupt
from diamond_cutter.tasks.pages.scripts import as_script, read_script
from diamond_cutter.tasks.reporting.page_data import (
    Explained,
    ImageDetails,
    ImagesPage,
    LayerNumbers,
    SetNumbers,
)
from diamond_cutter.tasks.reporting.pages import (
    IMAGE_LIST,
    from_script,
    layer_name,
    page_name,
)
from tests.tasks.reporting.made_up_report import HOSTILE

NUMBERS = LayerNumbers(
    patches=None,
    channels=(),
    sets=(SetNumbers(mean=(0.5, -1e-9, 3e20), spread=(0.1,), share=(1.0,), top=(0,), bottom=()),),
)
IMAGE = ImageDetails(
    number=7,
    name=HOSTILE + "\u2028層",
    file="images/7.webp",
    label=None,
    right=None,
    predicted=((1, 0.5),),
    explained=(Explained(positive=None, negative=None),),
    layers=(),
)


@pytest.mark.parametrize(
    ("name", "data"),
    [(layer_name(HOSTILE), NUMBERS), (page_name(3), ImagesPage(images=(IMAGE,)))],
    ids=["layer", "page"],
)
def test_numbers_come_back(name: str, data: BaseModel) -> None:
    script = as_script(name, data)
    assert script.isascii() and b"<" not in script and script.count(b"\n") == 1
    assert from_script(script) == (name, data)
    assert as_script(*from_script(script)) == script


def script_of(text: str) -> bytes:
    return f"diamondCutter.take(...{text});\n".encode()


SOUND = as_script(layer_name("stem"), NUMBERS)


def test_nothing_else_does() -> None:
    for script in [
        b"",
        b"alert(1);\n",
        SOUND + b"alert(1);\n",
        SOUND + SOUND,
        SOUND.rstrip(),
        b" " + SOUND,
        SOUND.replace(b"take", b"took"),
        SOUND.replace(b'"layer:stem"', b"alert(1)"),
        SOUND.replace(b'"layer:stem"', b'"layer:"+alert(1)'),
        SOUND.replace(b'"layer:stem"', b'"layer:stem<"'),
        SOUND.replace(b'"layer:stem"', '"layer:層"'.encode()),
        SOUND.replace(b'"layer:stem"', b'"layer:\nstem"'),
        SOUND.replace(b'"layer:stem"', b'"elsewhere:stem"'),
        SOUND.replace(b'"layer:stem"', b'"images"'),
        SOUND.replace(b'"layer:stem"', b"1"),
        SOUND.replace(b"0.5", b"NaN"),
        SOUND.replace(b"0.5", b"Infinity"),
        SOUND.replace(b"0.5", b'"half"'),
        SOUND.replace(b'"channels":[]', b'"channels":[],"more":1'),
        script_of("[]"),
        script_of('["layer:a"]'),
        script_of('["layer:a",{},{}]'),
        script_of('["layer:a",[]]);alert([1]'),
        script_of("[" * 100_000 + "]" * 100_000),
        script_of(json.dumps([IMAGE_LIST, {"images": [{"number": 1}]}])),
    ]:
        with pytest.raises(Corrupt):
            from_script(script)


def test_a_number_that_is_none_is_not_written() -> None:
    class Anything(BaseModel):
        value: float

    with pytest.raises(ValueError):
        as_script("x", Anything(value=float("nan")))
    with pytest.raises(ValueError):
        SetNumbers(mean=(float("inf"),), spread=(), share=(), top=(), bottom=())


def test_a_gallery_reads_by_the_same_rules() -> None:
    assert read_script(b'diamondCutter.take(...["stem",{"a":[1,null]}]);\n') == (
        "stem",
        {"a": [1, None]},
    )
