"""Count the sprites of a report that failed, and say what helps."""

from collections import Counter
from collections.abc import Mapping, Sequence

from diamond_cutter.storage.sets.records import FLAGS, Flag
from diamond_cutter.tasks.rendering.presets import PRESETS
from diamond_cutter.tasks.reporting.contents import FailedSprites

# No recipe excites a channel whose weights are 0.
_BEYOND_HELP: frozenset[Flag] = frozenset({"dead"})


def failed_sprites(
    model: str, recipe: str, flags: Mapping[str, Sequence[tuple[Flag, ...]]]
) -> FailedSprites | None:
    """Return the number of sprites with flags, or None if no sprite has any.

    Args:
        model: the name of the model.
        recipe: the key of the recipe.
        flags: of each sprite, by layer.
    """
    every = [of_sprite for of_layer in flags.values() for of_sprite in of_layer]
    counts = Counter(flag for of_sprite in every for flag in of_sprite)
    if not counts:
        return None
    layers = [
        layer
        for layer, of_layer in flags.items()
        if any(set(of_sprite) - _BEYOND_HELP for of_sprite in of_layer)
    ]
    return FailedSprites(
        failed=sum(map(bool, every)),
        of=len(every),
        by_flag={flag: counts[flag] for flag in FLAGS if counts[flag]},
        advice=_advice(model, recipe.partition("@")[0], layers),
    )


def _advice(model: str, recipe: str, layers: Sequence[str]) -> str:
    if not layers:
        return "Nothing helps: no image excites these channels."
    # Without the option, tuning starts from fast.
    start = f" --recipe {recipe}" if recipe in PRESETS and recipe != "fast" else ""
    other = "robust" if recipe == "lucid" else "lucid"
    return (
        f"Run `diamond-cutter tune {model} --layers {' '.join(layers)}{start}` and this command "
        f"again, or try another recipe, such as `--recipe {other}`."
    )
