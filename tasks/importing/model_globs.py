"""Globs for the models of a bucket, such as `birds-*`."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from diamond_cutter.model_inventory.errors import UnknownModel
from diamond_cutter.storage import Bucket
from diamond_cutter.tasks.importing.stored import stored_models

_GLOB = re.compile(r"[*?[]")


def models_matching(bucket: Bucket, names: Sequence[str]) -> tuple[str, ...]:
    """Return models by name, with each glob replaced by the models of the bucket that match it.

    Raises:
        UnknownModel: no model of the bucket matches a glob.
    """
    found: dict[str, None] = {}
    for name in names:
        if not is_glob(name):
            found[name] = None
            continue
        matching = [model for model in stored_models(bucket) if _matches(model, name)]
        if not matching:
            raise UnknownModel(
                f"the bucket {bucket.url} has no model that matches {name!r}. Run `diamond-cutter "
                "models` to list its models."
            )
        found |= dict.fromkeys(matching)
    return tuple(found)


def is_glob(name: str) -> bool:
    """Tell whether a name selects models of the bucket by a pattern."""
    return _GLOB.search(name) is not None


def _matches(model: str, glob: str) -> bool:
    wanted = glob.replace("/", ".")
    return any(fnmatchcase(each, wanted) for each in (model, model.rpartition("@")[0]))
