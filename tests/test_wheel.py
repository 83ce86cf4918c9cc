"""The wheel works in an environment of its own, beside modules of the user with everyday names."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.flows.conftest import SMALL
from tests.waiting import AT_MOST_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
HOSTILE = ("flows", "tasks", "model_inventory", "storage", "graph", "errors")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_one_package_with_all_that_it_reads(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"diamond_cutter"}
    for folder in ("flows", "tasks", "model_inventory", "storage"):
        files = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        wanted = {f"diamond_cutter/{path}" for path in files if "__pycache__" not in path.parts}
        assert wanted <= set(names)


def test_it_renders_beside_a_users_modules_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    environment, user = tmp_path / "environment", tmp_path / "user"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    # The dependencies of this environment, but not its editable installation of the project: files
    # named .pth count only in the folder of packages itself.
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    (user / "storage").mkdir(parents=True)
    (user / "storage" / "__init__.py").write_text("raise SystemExit('storage is the user')")
    for name in set(HOSTILE) - {"storage"}:
        (user / f"{name}.py").write_text(f"raise SystemExit('{name} is the user')")

    entry = "from diamond_cutter.flows.cli.main import main; main()"
    command = [environment / "bin" / "python", "-c", entry, "sprites", "efficientnet-lite0"]
    done = subprocess.run(
        [*command, "--layers", "stem", "--channels", "0:2", "--bucket", "bucket", *SMALL],
        cwd=user,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=3 * AT_MOST_S,
    )
    assert done.returncode == 0, done.stderr
    assert "2 rendered" in done.stdout
    assert list(user.glob("bucket/sprites/*/*/stem/spritemap.*.webp"))
    where = "import diamond_cutter.flows as ours; print(ours.__file__)"
    found = subprocess.run([*command[:2], where], cwd=user, capture_output=True, text=True)
    assert found.stdout.startswith(str(packages))
