"""How a report is cited."""

from diamond_cutter.tasks.pages.citation import bibtex


def test_names_mean_nothing_to_tex() -> None:
    entry = bibtex("cut@1a2b3c4d", "50 % of a_b {\\input}", "Models: m@1 & n#2", "0.1.0")
    assert entry == (
        "@misc{cut-1a2b3c4d,\n"
        "  title = {50 \\% of a\\_b   input },\n"
        "  howpublished = {Diamond Cutter 0.1.0},\n"
        "  note = {Models: m@1 \\& n\\#2}\n}"
    )
