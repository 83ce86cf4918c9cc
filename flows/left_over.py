"""The end of a run whose budget is used up before its report is complete."""

from pydantic import Field

from diamond_cutter.errors import DiamondCutterError
from diamond_cutter.frozen_model import FrozenModel


class LeftOver(FrozenModel):
    """The work that a run leaves to the next one."""

    left: int = Field(description="number of parts that were not started")
    parts: str = Field(description="what is counted, with a plural first, such as layers to score")

    def in_words(self) -> str:
        """Return one line of text."""
        noun, gap, rest = self.parts.partition(" ")
        noun = noun.removesuffix("s") if self.left == 1 else noun
        return f"{self.left:,} {noun}{gap}{rest} left; run the same command to continue"


class BudgetSpent(DiamondCutterError):
    """The budget of a run is used up, and work is left. Flows return that work instead."""

    exit_code = 1

    def __init__(self, left: int, parts: str) -> None:
        self.left_over = LeftOver(left=left, parts=parts)
        super().__init__(self.left_over.in_words())
