"""The summary of a report says what to do about weak layers and failed sprites, in 80 columns."""

import pytest

from diamond_cutter.flows.attribution_summary import LayerSummary, ReportSummary
from diamond_cutter.flows.cli.record_text import report_in_words
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.tasks.attribution.spec import LayerMethod
from diamond_cutter.tasks.reporting.contents import FailedSprites
from diamond_cutter.tasks.reporting.verdicts import judge

FAILED = FailedSprites(failed=6, of=8, by_flag={"saturated": 6}, advice="Run `tune`.")


def layer(name: str, method: LayerMethod, error: float) -> LayerSummary:
    return LayerSummary(
        layer=name,
        method=method,
        **judge(error, 3.0, 0.1, method, 32)._asdict(),
        completeness_error=error,
        drop_of_top=3.0,
        drop_of_random=0.1,
        top=(1000, 1001, 1002, 1003),
        bottom=(2000, 2001, 2002),
    )


def summary(*methods: LayerMethod, mixes_questions: bool = False) -> ReportSummary:
    errors = (1.771, 0.0001)
    return ReportSummary(
        key="reports/pets/lite0/attribution/",
        page="file:///index.html",
        dataset="pets@1",
        model="lite0@1",
        finding="Channel 1 supports cats most.",
        explained="each image's top class",
        images=2,
        refused=(),
        accuracy=None,
        decision=None,
        values=None,
        classes_by_label=False,
        mixes_questions=mixes_questions,
        layers=tuple(
            layer(f"mixed{number}_pool", method, error)
            for number, (method, error) in enumerate(zip(methods, errors, strict=True))
        ),
        failed_sprites=FAILED,
        reused=False,
        lacks=(),
    )


def test_the_answer_comes_first_and_then_verdicts_and_advice() -> None:
    finding, table, weak, failed, *_, page = report_in_words(summary("gradient", "integrated"))
    assert finding == "Channel 1 supports cats most." and page == "file:///index.html"
    assert isinstance(table, Rows) and [row[1] for row in table.rows] == ["order only", "reliable"]
    assert str(weak).startswith("mixed0_pool: ") and "--method integrated" in str(weak)
    assert failed == "6 of 8 sprites failed: 6 saturated. Run `tune`."


@pytest.mark.parametrize("mixes", [False, True])
@pytest.mark.parametrize("methods", [("gradient", "gradient"), ("gradient", "integrated")])
def test_the_table_fits_80_columns(methods: tuple[LayerMethod, ...], mixes: bool) -> None:
    head, rows = summary(*methods, mixes_questions=mixes).table()
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    assert sum(widths) + 2 * (len(widths) - 1) <= 80
    assert ("method" in head) == (len(set(methods)) > 1) and ("for" in head) == (not mixes)
