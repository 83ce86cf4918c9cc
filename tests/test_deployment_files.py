"""The files with which users deploy: the image, the manifests, and prefect.yaml."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.specifiers import SpecifierSet
from prefect.utilities.templating import apply_values

ROOT = Path(__file__).parents[1]
KUBERNETES = ROOT / "examples" / "kubernetes"
VERSION = "1.34"


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, each with its arguments."""
    joined = re.sub(r"\\\n", " ", dockerfile)
    lines = [line.strip() for line in joined.splitlines()]
    return [
        (name.upper(), arguments)
        for line in lines
        if line and not line.startswith("#")
        for name, _, arguments in [line.partition(" ")]
    ]


@pytest.fixture(scope="module")
def image() -> list[tuple[str, str]]:
    return instructions((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def copied(image: list[tuple[str, str]]) -> list[str]:
    """Return the files and folders that come from the repository."""
    sources = [arguments.split()[:-1] for name, arguments in image if name == "COPY"]
    return [each for given in sources if not given[0].startswith("--from") for each in given]


def test_the_image_copies_what_there_is_and_the_context_holds(image: list[tuple[str, str]]) -> None:
    sources = copied(image)
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*" and rules[-1] == "**/__pycache__"
    assert sorted(sources) == sorted(rule.removeprefix("!") for rule in rules[1:-1])
    assert all((ROOT / source).exists() for source in sources)
    # The package is links to folders, which are copied, too.
    links = [path for path in (ROOT / "diamond_cutter").iterdir() if path.is_symlink()]
    assert {link.resolve().name for link in links} <= set(sources)


def test_the_image_is_built_as_the_readme_says(
    image: list[tuple[str, str]], project: dict[str, Any]
) -> None:
    readme = (ROOT / "README.md").read_text()
    runs = [arguments for name, arguments in image if name == "RUN"]
    assert [fnmatch.fnmatch(run, "pip install *uv") for run in runs].count(True) == 1
    assert "pip install uv" in readme and "uv sync --extra gpu" in readme
    synced = [shlex.split(run) for run in runs if run.startswith("uv sync")]
    assert len(synced) == 2
    assert all({"--locked", "--no-default-groups", "${OPTIONS}"} <= set(each) for each in synced)
    assert "gpu" in project["project"]["optional-dependencies"]


def test_the_image_runs_the_command_as_an_ordinary_user(
    image: list[tuple[str, str]], project: dict[str, Any]
) -> None:
    entry = [json.loads(arguments) for name, arguments in image if name == "ENTRYPOINT"]
    assert entry == [["diamond-cutter"]] and "diamond-cutter" in project["project"]["scripts"]
    last_stage = image[max(i for i, (name, _) in enumerate(image) if name == "FROM") :]
    assert [arguments for name, arguments in last_stage if name == "USER"] == ["1000"]
    (python,) = [a.partition("=")[2] for n, a in image if n == "ARG" and a.startswith("PYTHON=")]
    assert f"{python}.0" in SpecifierSet(project["project"]["requires-python"])


def test_the_docs_build_and_run_the_image_as_it_is(image: list[tuple[str, str]]) -> None:
    arguments = {a.partition("=")[0] for name, a in image if name == "ARG"}
    documented = (ROOT / "Dockerfile").read_text() + (ROOT / "docs" / "operations.md").read_text()
    builds = re.findall(r"docker build .*", documented)
    assert any("--build-arg" in build for build in builds)
    for build in builds:
        assert set(re.findall(r"--build-arg (\w+)=", build)) <= arguments
        assert "--target" not in build  # there is one image


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.name} {document['kind']} {document['metadata']['name']}", document)
        for path in sorted(KUBERNETES.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize(("name", "document"), documents(), ids=lambda each: str(each)[:60])
def test_kubernetes_knows_every_field_of_the_manifests(name: str, document: Any) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)
    assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "diamond-cutter"


def test_the_manifests_are_complete() -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    (generated,) = kustomization["configMapGenerator"]
    named = {"kustomization.yaml", *kustomization["resources"], *generated["files"]}
    assert named == {path.name for path in KUBERNETES.iterdir()}
    found = {(each["kind"], each["metadata"]["name"]): each for _, each in documents()}
    pod = found["Deployment", "prefect-worker"]["spec"]["template"]["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in found
    assert pod["volumes"][0]["configMap"]["name"] == generated["name"]
    template = json.loads((KUBERNETES / "job-template.json").read_text())
    account = template["variables"]["properties"]["service_account_name"]["default"]
    assert ("ServiceAccount", account) in found


def defaults(template: dict[str, Any]) -> dict[str, Any]:
    fields = template["variables"]["properties"]
    return {name: field["default"] for name, field in fields.items() if "default" in field}


def test_the_job_of_a_flow_run_is_one_that_kubernetes_knows() -> None:
    template = json.loads((KUBERNETES / "job-template.json").read_text())
    values = {**defaults(template), "name": "brave-cat", "command": ["prefect"], "env": []}
    job = apply_values(template["job_configuration"]["job_manifest"], values)
    # prefect-kubernetes looks for them there; Kubernetes ignores them.
    pod = job["spec"]["template"]["spec"]
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    kubernetes_validate.validate(job, VERSION, strict=True)
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    # Otherwise the entry point of the image would take Prefect's command for one of its own.
    assert pod["containers"][0]["command"] == ["/usr/bin/env"]


@pytest.mark.parametrize(
    ("file", "collection", "worker"),
    [
        ("kubernetes/job-template.json", "prefect-kubernetes", "kubernetes"),
        ("vertex-ai/job-template.json", "prefect-gcp", "vertex-ai"),
    ],
)
def test_a_job_template_has_the_fields_of_prefects_own(
    file: str, collection: str, worker: str
) -> None:
    import prefect.server.api.collections_data.views as views

    metadata = Path(views.__path__[0]) / "aggregate-worker-metadata.json"
    own = json.loads(metadata.read_text())[collection][worker]["default_base_job_configuration"]
    ours = json.loads((ROOT / "examples" / file).read_text())
    optional = {"cluster_config", "credentials"}
    assert own["job_configuration"].keys() - ours["job_configuration"].keys() <= optional
    assert ours["job_configuration"].keys() <= own["job_configuration"].keys()
    placeholders = set(re.findall(r"{{ (\w+) }}", json.dumps(ours["job_configuration"])))
    assert placeholders == ours["variables"]["properties"].keys()


def test_prefect_reads_prefect_yaml_and_the_parameters_fit() -> None:
    from prefect.cli.deploy._models import PrefectYamlModel
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.importtools import import_object
    from prefect.utilities.schema_tools import validate

    model = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    deployments = [each.model_dump(exclude_unset=True, mode="json") for each in model.deployments]
    flows = {each["name"]: import_object(each["entrypoint"]) for each in deployments}
    assert {flow.name for flow in flows.values()} == {
        *("sprites", "attribute-dataset", "find-cut", "attach", "compare-models", "tune")
    }
    for each in deployments:
        assert each["enforce_parameter_schema"] is True
        assert each["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
        flow = flows[each["name"]]
        schema = parameter_schema(flow).model_dump()
        assert validate(each["parameters"], schema, raise_on_error=True) == []
        assert flow.validate_parameters(each["parameters"])["request"].bucket == "./bucket"
