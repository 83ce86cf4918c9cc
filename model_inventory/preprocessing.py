"""The preprocessing of images in use: which values and which order of colours a model expects.

Each one is an affine map of every channel, so the card keeps it as value ranges and an order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from diamond_cutter.model_inventory.card import ChannelOrder, ImageSpec
from diamond_cutter.model_inventory.errors import BadModel

Preprocessing = Literal["caffe", "torch", "tf", "none"]
ValueRange = tuple[tuple[float, float], ...]

_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (123.68, 116.779, 103.939)
_COLOURS = 3


@dataclass(frozen=True)
class Scaling:
    """A map from images to the input of a model.

    value_range: the values of 0 and 1, once for all channels, or for each channel of the image:
        red, green, blue for colours, whatever the order at the input.
    order: the usual order of the colours at the input.
    """

    value_range: ValueRange
    order: Literal["rgb", "bgr"] = "rgb"


def _normalised(mean: Sequence[float], std: Sequence[float]) -> ValueRange:
    """Return the range of `(image - mean) / std`, by channel, as in torchvision's Normalize."""
    return tuple(
        ((0.0 - each) / deviation, (1.0 - each) / deviation)
        for each, deviation in zip(mean, std, strict=True)
    )


# The modes of `keras.applications.imagenet_utils.preprocess_input`; none leaves 0 to 255.
SCALINGS: Mapping[Preprocessing, Scaling] = {
    "caffe": Scaling(tuple((-mean, 255.0 - mean) for mean in _CAFFE_MEAN), "bgr"),
    "torch": Scaling(_normalised(_TORCH_MEAN, _TORCH_STD)),
    "tf": Scaling(((-1.0, 1.0),)),
    "none": Scaling(((0.0, 255.0),)),
}
_IN_WORDS: Mapping[Preprocessing, str] = {
    "caffe": "0 to 255 minus the means 123.68, 116.779 and 103.939 of red, green and blue",
    "torch": "0 to 1 minus the means 0.485, 0.456 and 0.406 of red, green and blue, divided by "
    "0.229, 0.224 and 0.225",
    "tf": "-1 to 1",
    "none": "0 to 255",
}


def image_of(
    scaling: Scaling,
    height: int,
    width: int,
    channels: int,
    order: Literal["rgb", "bgr"] | None = None,
) -> ImageSpec:
    """Return the format of images with a scaling.

    Args:
        scaling: of the values.
        height: rows of the images.
        width: columns of the images.
        channels: of the images; 3 are colours.
        order: of the colours at the input; the scaling's own if omitted.

    Raises:
        BadModel: the scaling is for another number of channels, or no range.
    """
    ranges = scaling.value_range
    if len(ranges) not in (1, channels):
        raise BadModel(
            f"the preprocessing does not fit the channels of the model: expected values for "
            f"{channels}, found {len(ranges)}. Give one value for each channel."
        )
    for low, high in ranges:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise BadModel(
                "the value range is not valid: expected the values of black and white at the "
                f"model's input, black lower than white, found {low:g} to {high:g}"
            )
    if len(set(ranges)) == 1:
        ranges = ranges[:1]
    channel_order: ChannelOrder = "none" if channels != _COLOURS else order or scaling.order
    return ImageSpec(
        height=height,
        width=width,
        channels=channels,
        value_range=ranges[::-1] if channel_order == "bgr" else ranges,
        channel_order=channel_order,
    )


def scaling_of(image: ImageSpec) -> Scaling:
    """Return the scaling of a format of images; `image_of` is the inverse."""
    if image.channel_order == "bgr":
        return Scaling(image.value_range[::-1], "bgr")
    return Scaling(image.value_range)


def requested_scaling(
    preprocessing: Preprocessing | None,
    value_range: Sequence[float] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Scaling | None:
    """Return the scaling that a user requests in one of three ways, or None without a request.

    Args:
        preprocessing: the name of a scaling.
        value_range: the values of black and white, for all channels or one pair for each.
        mean: of the values 0 to 1, for each channel; goes with `std`.
        std: standard deviations of the same values.

    Raises:
        BadModel: there are several requests, or the numbers are not valid.
    """
    given = [preprocessing is not None, bool(value_range), bool(mean) or bool(std)]
    if sum(given) > 1:
        raise BadModel(
            "the preprocessing is given twice: expected one of --preprocessing, --value-range, and "
            "--mean with --std. Omit the others."
        )
    if preprocessing is not None:
        return SCALINGS[preprocessing]
    if value_range:
        return Scaling(_pairs(value_range))
    return _mean_and_std(mean or (), std or ()) if mean or std else None


def _pairs(values: Sequence[float]) -> ValueRange:
    if len(values) % 2:
        raise BadModel(
            "--value-range is not valid: expected the values of black and white, once or for each "
            f"channel, found {len(values)} numbers"
        )
    return tuple(zip(values[::2], values[1::2], strict=True))


def _mean_and_std(mean: Sequence[float], std: Sequence[float]) -> Scaling:
    if len(mean) != len(std):
        raise BadModel(
            "--mean and --std do not fit together: expected one number of each for each channel, "
            f"found {len(mean)} and {len(std)}"
        )
    bad = next((each for each in std if not (math.isfinite(each) and each > 0)), None)
    if bad is not None:
        raise BadModel(f"--std is not valid: expected numbers above 0, found {bad:g}")
    bad = next((each for each in mean if not math.isfinite(each)), None)
    if bad is not None:
        raise BadModel(f"--mean is not valid: expected finite numbers, found {bad:g}")
    return Scaling(_normalised(mean, std))


def known_preprocessing(image: ImageSpec) -> Preprocessing | None:
    """Return the name of the preprocessing of a format of images, in any order of the colours."""
    ranges = scaling_of(image).value_range
    for name, scaling in SCALINGS.items():
        # A range for each channel may be the same range for all.
        wide = scaling.value_range * (len(ranges) if len(scaling.value_range) == 1 else 1)
        if len(wide) == len(ranges) and all(
            math.isclose(here, there, rel_tol=1e-4, abs_tol=1e-4)
            for one, other in zip(wide, ranges, strict=True)
            for here, there in zip(one, other, strict=True)
        ):
            return name
    return None


def preprocessing_in_words(image: ImageSpec) -> str:
    """Return the values at the input of a model in words, without the order of the colours."""
    known = known_preprocessing(image)
    if known is not None:
        return f"like {known}: {_IN_WORDS[known]}"
    ranges = [f"{low:.5g} to {high:.5g}" for low, high in scaling_of(image).value_range]
    if len(ranges) == _COLOURS == image.channels:
        return ", ".join(
            f"{values} of {colour}"
            for values, colour in zip(ranges, ("red", "green", "blue"), strict=True)
        )
    return ranges[0] if len(ranges) == 1 else f"{', '.join(ranges)}, in the order of the channels"


def options_of(image: ImageSpec) -> str:
    """Return the options of `models add` that give a model this format of images."""
    known, scaling = known_preprocessing(image), scaling_of(image)
    if known is not None:
        options, order = f"--preprocessing {known}", SCALINGS[known].order
    else:
        values = " ".join(f"{value:.8g}" for pair in scaling.value_range for value in pair)
        options, order = f"--value-range {values}", "rgb"
    if image.channel_order in ("none", order):
        return options
    return f"{options} --input-channels {image.channel_order}"
