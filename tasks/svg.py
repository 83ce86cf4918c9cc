"""Draw charts as SVG.

The drawings carry their own colours, so that they can be downloaded and printed. On a page, its
style replaces the colours of text and lines.
"""

from xml.etree import ElementTree

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, QUIET, LINE = "#1f2328", "#686e76", "#d9d7d2"


def drawing(title: str, width: float, height: float) -> ElementTree.Element:
    """Return an empty drawing with a title for screen readers; sizes are in pixels."""
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-label": printable(title),
            "class": "chart",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
        },
    )
    ground = {"width": "100%", "height": "100%", "class": "ground"}
    add(root, "rect", fill="#ffffff", **ground)
    return root


def add(parent: ElementTree.Element, tag: str, **attributes: object) -> ElementTree.Element:
    """Add an element, and return it."""
    given = {name: str(value) for name, value in attributes.items()}
    return ElementTree.SubElement(parent, tag, given)


def text(
    root: ElementTree.Element, x: float, y: float, shown: str, anchor: str, fill: str, kind: str
) -> None:
    """Add a line of text; `anchor` is start, middle or end, `kind` its class on a page."""
    place = {"x": px(x), "y": px(y), "text-anchor": anchor, "class": kind}
    add(root, "text", fill=fill, **place).text = printable(shown)


def rule(root: ElementTree.Element, x1: float, y1: float, x2: float, y2: float) -> None:
    """Add a thin line, such as one of a grid."""
    ends = {"x1": px(x1), "y1": px(y1), "x2": px(x2), "y2": px(y2)}
    add(root, "line", stroke=LINE, **ends, **{"class": "rule"})


def colour(place: int) -> str:
    """Return the colour of a curve by its number."""
    return _COLOURS[place % len(_COLOURS)]


def dashes(place: int) -> str:
    """Return the dashes of a curve by its number; with the colours, twelve curves differ."""
    return ("none", "7 3", "2 3", "9 3 2 3", "4 4", "1 4")[(place + place // 6) % 6]


def px(value: float) -> str:
    """Return a length in pixels as it is written."""
    return f"{value:.1f}"


def printable(shown: str) -> str:
    """Replace the characters that XML does not allow; layers may have any name."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown
    )


def svg_text(root: ElementTree.Element) -> str:
    """Return a drawing as text."""
    return ElementTree.tostring(root, encoding="unicode")
