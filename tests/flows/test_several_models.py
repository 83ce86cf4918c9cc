"""Several models are planned together, and one that cannot be had does not stop the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from diamond_cutter.model_inventory.bundle import Bundle
from diamond_cutter.tasks.importing.stored import keep_bundle
from tests.flows.conftest import SMALL, Command
from tests.toy_network import toy_bundle, toy_weights

pytestmark = pytest.mark.prefect

OPTIONS = ("--layers", "third", "--channels", "0:4", *SMALL)


@pytest.fixture
def bucket(toy: Bundle, tmp_path: Path) -> str:
    """Return a bucket with two models that have no layer in common."""
    place = str(tmp_path / "bucket")
    for bundle in (toy, toy_bundle(toy_weights(seed=1), name="other")):
        keep_bundle(place, bundle)
    return place


def test_models_that_can_be_had_are_rendered_in_one_run(bucket: str, at_once: Command) -> None:
    def run(*arguments: str, command: str = "sprites") -> Any:
        done = at_once(command, *arguments, "--bucket", bucket, *OPTIONS, "--json")
        assert done.returncode == 0, done.stderr
        lines.append(done.stderr)
        return json.loads(done.stdout)

    lines = list[str]()
    first = run("toy", "missing", "oth*", "--log-json")
    events = [json.loads(line) for line in lines[0].splitlines()]
    done = [event for event in events if event["event"] == "shard done"]
    assert {event["model"].partition("@")[0] for event in done} == {"toy", "other"}
    assert [event["event"] for event in events].count("run started") == 1
    assert events[-1]["event"] == "run done"
    assert [model["rendered"] for model in first["models"]] == [4, 4]
    assert [model["model"].partition("@")[0] for model in first["models"]] == ["toy", "other"]
    (skipped,) = first["skipped"]
    assert skipped.startswith("skipped a model: ") and "'missing'" in skipped
    again = run("--all-models")
    assert {model["model"].partition("@")[0]: model["reused"] for model in again["models"]} == {
        "toy": 4,
        "other": 4,
    }
    planned = run("--all-models", command="plan")
    assert [estimate["sprites_done"] for estimate in planned] == [4, 4]
    assert run("toy")["reused"] == 4, "a single model has a summary of its own"


def test_the_sum_is_told_in_words(bucket: str, at_once: Command) -> None:
    done = at_once("sprites", "toy", "other", "missing", "--bucket", bucket, *OPTIONS)
    *_, total, skipped = done.stdout.splitlines()
    assert total == "2 models: 8 rendered, 0 reused, 0 failed"
    assert skipped.startswith("skipped a model: ")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("missing", "absent"), "'missing'"),
        (("no*",), "no model that matches 'no*'"),
        (("toy", "--all-models"), "--all-models renders all models of the bucket"),
    ],
)
def test_no_model_at_all_is_one_sentence(
    bucket: str, at_once: Command, models: tuple[str, ...], said: str
) -> None:
    done = at_once("sprites", *models, "--bucket", bucket, *OPTIONS)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1
