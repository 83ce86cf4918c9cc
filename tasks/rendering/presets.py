"""Named recipes, as changes of the defaults. The defaults are the recipe `fast`."""

from collections.abc import Mapping
from typing import Any


def _powers(base: float, first: int, end: int) -> tuple[float, ...]:
    return tuple(round(base**exponent, 4) for exponent in range(first, end))


def _degrees(most: int) -> tuple[float, ...]:
    return tuple(float(angle) for angle in range(-most, most + 1))


# Lucid's `transform.standard_transforms`.
STANDARD_SCALES = tuple(round(0.9 + 0.02 * i, 2) for i in range(11))
STANDARD_ANGLES = (*(float(angle) for angle in range(-10, 11)), 0.0, 0.0, 0.0, 0.0, 0.0)

STANDARD: Mapping[str, Any] = {
    "pad_px": 12,
    "pad_value": 0.5,
    "jitter_px": (8, 4),
    "scale": STANDARD_SCALES,
    "input_sides": 3,
    "rotate_degrees": STANDARD_ANGLES,
}
# Pictures of deep layers come out whole under these, and tuning judges by them.
WIDER: Mapping[str, Any] = {
    "pad_px": 24,
    "jitter_px": (24, 16),
    "scale": tuple(round(0.7 + 0.06 * i, 2) for i in range(11)),
    "rotate_degrees": (*(float(angle) for angle in range(-30, 31, 2)), 0.0, 0.0, 0.0),
}

# Measured by `spectrum.natural_spectrum` on 90 photographs of animals and vehicles, 288 pixels high
# or wide.
SPECTRUM_OF_PHOTOS = (
    (94.9, 73.7, 58.7, 35.4, 22.7, 14.8, 9.42, 6.2, 3.95, 2.57, 1.68, 1.1, 0.744, 0.497, 0.281),
    (82.6, 70.2, 58.6, 35.2, 22.3, 14.0, 8.79, 5.55, 3.4, 2.01, 1.19, 0.698, 0.453, 0.325, 0.244),
    (92.9, 79.0, 63.5, 36.6, 21.9, 13.9, 9.05, 5.91, 3.8, 2.5, 1.62, 0.973, 0.622, 0.454, 0.351),
)

# Images of up to this side, such as scikit-learn's digits (8), MNIST (28) and CIFAR (32).
TINY_PX = 32

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {},
    # A network of tiny images has few layers, whose gradients hardly change from step to step. Over
    # the steps of `fast`, nearly all values reach black or white. Its first channels prefer bright
    # parts at all positions, which a single position does not show: docs/recipes.md.
    "tiny": {"objective": "neuron", "steps": 48},
    "lucid": {
        "steps": 512,
        "learning_rate": 0.05,
        "beta1": 0.9,
        "beta2": 0.999,
        "cooldown": 0.0,
        "decay_power": 1.0,
        "redirect_steps": 16,
        "gate_smoothing": 0.0,
    },
    # Larger and coarser under wider transforms, so that other networks recognise the class as well:
    # docs/performance.md.
    "robust": {
        "size_px": 192,
        "steps": 96,
        "decay_power": 1.6,
        "scale": tuple(round(0.85 + 0.04375 * i, 4) for i in range(9)),
        "rotate_degrees": tuple(float(angle) for angle in range(-15, 16, 3)),
    },
    # The transparent sprites of Olah et al. 2018, "The Building Blocks of Interpretability"
    # (https://distill.pub/2018/building-blocks), with their transforms. Theirs take 1000 steps; 384
    # gave as good pictures.
    "alpha": {
        "objective": "neuron-and-channel",
        "pre_activation": True,
        "alpha": True,
        "alpha_weight": 1.0,
        "blur": 12.0,
        "decay_power": 1.1,
        "steps": 384,
        "learning_rate": 0.05,
        "gate_smoothing": 0.0,  # over so many steps the true gradient climbs 3 % further
        "pad_px": 4,
        "pad_value": 1.0,
        "jitter_px": (8, 8, 8, 4, 4),
        "scale": (*_powers(0.995, -5, 80), *_powers(0.998, 20, 40), *_powers(0.998, 20, 40)),
        "input_sides": 1,
        "rotate_degrees": (*_degrees(20), *_degrees(10), *_degrees(5), 0.0, 0.0, 0.0, 0.0, 0.0),
    },
    # Fel et al. 2023 (https://arxiv.org/abs/2306.06805). Their crops of many sizes are the wide
    # range of scales here, seen through one size of input.
    "maco": {
        "parameterisation": "maco",
        "spectrum": SPECTRUM_OF_PHOTOS,
        "steps": 384,
        "learning_rate": 0.3,
        "cooldown": 0.5,
        "jitter_px": (12, 4),
        "scale": tuple(round(0.8 * 2 ** (i / 10), 3) for i in range(11)),
        "input_sides": 1,
    },
}


def preset_for(height: int, width: int) -> str:
    """Return the name of the preset that suits models of images of this size, in pixels."""
    return "tiny" if max(height, width) <= TINY_PX else "fast"
