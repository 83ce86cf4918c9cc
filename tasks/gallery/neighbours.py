"""Which sprites of a layer look alike."""

import numpy as np

# Pictures of 16 px are compared: what is finer differs between any two sprites.
SIDE_PX = 16
COUNT = 8


def nearest(pictures: np.ndarray, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each picture, the others that look most like it, and how much.

    Likeness is the cosine of the pictures' spectra and mean colours. Spectra are magnitudes only,
    so that a texture is like itself wherever it begins; the layer's mean is taken off, so that what
    all pictures of a layer share counts for nothing.

    Args:
        pictures: uint8 `[n, side, side, 3]`.
        count: how many neighbours; fewer where there are not so many others.

    Returns:
        Indices, int64 `[n, count]`, the most alike first, and likeness, float32 `[n, count]` in
        [-1, 1].
    """
    features = _features(pictures)
    likeness = features @ features.T
    np.fill_diagonal(likeness, -np.inf)
    count = min(count, len(pictures) - 1)
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
    return order, np.clip(np.take_along_axis(likeness, order, axis=1), -1, 1)


def _features(pictures: np.ndarray) -> np.ndarray:
    """Return a vector of length 1, or 0 for one that is as the mean, for each picture: float32 `[n,
    features]`.
    """
    values = pictures.astype(np.float32) / 255
    colour = values.mean(axis=(1, 2))
    spectrum = np.abs(np.fft.rfft2(values - colour[:, None, None], axes=(1, 2))).astype(np.float32)
    # Roots, so that the few strongest frequencies do not decide alone.
    parts = [np.sqrt(spectrum).reshape(len(values), -1), colour]
    # Both count for the same, however many numbers each has.
    return _unit(np.concatenate([_unit(part - part.mean(axis=0)) for part in parts], axis=1))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)
