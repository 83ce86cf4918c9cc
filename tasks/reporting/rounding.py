"""How a report writes numbers down."""


def short(value: float, digits: int = 4) -> float:
    """Return a number in some digits: what a page loads is no longer than it can be told apart."""
    return float(f"{value:.{digits}g}")
