"""The stages of each command, with the seconds that they take if nothing better is known.

A stage is named after the unit of its work, or after the first words of its step. The seconds are
those of a small request on a processor with a few cores. The flows publish better numbers as soon
as they know the amount of work (see `expected_seconds.py`).
"""

from typing import Final

_START = {"checking the request": 1.0, "starting a Prefect server": 6.0}

STAGES: Final[dict[str, dict[str, float]]] = {
    "sprites": {
        **_START,
        "looking for": 4.0,
        "measuring the photos": 1.0,
        "sprites": 60.0,
    },
    "attribute": {
        **_START,
        "looking for": 4.0,
        "images": 10.0,
        "inspected images": 10.0,
        "sprites": 60.0,
        "publishing the report": 4.0,
    },
    "cut": {
        **_START,
        "looking for": 4.0,
        "measuring the costs": 6.0,
        "images through networks": 10.0,
        "layers scored": 10.0,
        "joining layers": 2.0,
        "training heads": 10.0,
        "sprites": 15.0,
        "publishing the report": 3.0,
    },
    "compare": {
        **_START,
        "looking for": 4.0,
        "images through networks": 10.0,
        "steps for layers": 5.0,
        "comparing predictions": 1.0,
        "examining the channels": 5.0,
        "sprites": 30.0,
        "publishing the report": 3.0,
    },
    "attach": {
        **_START,
        "looking for": 4.0,
        "images through networks": 10.0,
        "images trained on, at most": 30.0,
        "storing": 8.0,
    },
    "tune": {"looking for": 4.0, "layers": 60.0},
    "plan": {"models": 20.0},
    "cp": {"files": 60.0},
    "models fetch": {"kB": 30.0},
}
