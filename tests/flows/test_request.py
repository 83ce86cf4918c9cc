"""Channels as a user writes them."""

import pytest
from pydantic import ValidationError

from flows.errors import RequestError
from flows.request import SpritesRequest, parse_channels


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
    ],
)
def test_channels_are_read(text: str | None, channels: tuple[int, ...]) -> None:
    assert parse_channels(text, "stem", 10) == channels


@pytest.mark.parametrize("text", ["10", "0:11", "3:3", "5:2"])
def test_channels_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="not in layer 'stem', which has 10: 0 to 9"):
        parse_channels(text, "stem", 10)


@pytest.mark.parametrize("text", ["", "a", "-1", "1-3", "1,,2", ":3", "1.5"])
def test_channels_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        parse_channels(text, "stem", 10)


def test_a_request_survives_json_and_refuses_what_it_does_not_know() -> None:
    request = SpritesRequest(model="efficientnet-lite0", layers=("stem",), channels="0:4")
    assert SpritesRequest.model_validate_json(request.model_dump_json()) == request
    with pytest.raises(ValidationError):
        SpritesRequest.model_validate({"model": "efficientnet-lite0", "colour": "red"})
