"""How far an answer can be believed."""

from typing import Literal, NamedTuple


class Belief(NamedTuple):
    """A verdict on an answer.

    kind: the look of the verdict, which is that of a layer's verdict.
    words: the verdict in two or three words.
    reason: one or two sentences, with the numbers behind it.
    """

    kind: Literal["reliable", "order-only", "not-reliable"]
    words: str
    reason: str
