"""Plant faults in the code, one at a time, and count how many the tests catch.

    uv run python -m tools.plant_faults --count 40 --seed 0

A fault is one change of one expression: a comparison, a sign or a condition is flipped, a bound is
moved by one, or a key is renamed. Its place is drawn from a seed, equally often from storage,
rendering, attribution and the inventory. For each fault the repository is copied to a temporary
folder, the file there is changed, and pytest runs the test module that mirrors the file, then the
other tests of that folder. The first failing test ends the run of that fault.

Equivalent changes (a bound that no input reaches, a faster path that is not taken) survive any
tests, so the count is compared with an earlier one, never with 100 %.
"""

import ast
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App

ROOT = Path(__file__).parents[1]
# Each part of the code, and the tests that are to catch its faults.
PARTS = {
    "storage": "tests/storage",
    "tasks/rendering": "tests/tasks/rendering",
    "tasks/attribution": "tests/tasks/attribution",
    "model_inventory": "tests/model_inventory",
}
TIMEOUT_S = 900
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SIGNS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}

app = App()


@dataclass(frozen=True)
class Fault:
    """One change of one expression.

    Attributes:
        path: of the file, relative to the repository.
        line, column, end_line, end_column: of the expression, as `ast` counts them.
        before, after: the expression's source.
    """

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before} -> {self.after}"


@app.default
def main(*, count: int = 40, seed: int = 0, tests: Path = ROOT / "tests") -> None:
    """Plant the faults and print which are caught.

    Args:
        count: how many faults.
        seed: which ones; the same seed and code give the same faults.
        tests: the tests to run, if not those of the repository.
    """
    faults, caught = draw(count, seed), 0
    for number, fault in enumerate(faults, start=1):
        started = time.monotonic()
        failed = first_failure(fault, tests)
        caught += failed is not None
        seconds = time.monotonic() - started
        print(f"{number:3} {failed or 'SURVIVED':60.60} {seconds:5.0f} s  {fault}", flush=True)
    print(f"{caught} of {len(faults)} faults are caught")


def draw(count: int, seed: int) -> list[Fault]:
    """Return faults at places drawn from a seed, equally many in each part of the code."""
    drawn = random.Random(seed)
    of_parts = [
        drawn.sample(sorted(_faults_in(part), key=str), -(-count // len(PARTS))) for part in PARTS
    ]
    return [fault for of_each in zip(*of_parts, strict=True) for fault in of_each][:count]


def first_failure(fault: Fault, tests: Path) -> str | None:
    """Return the first test that fails with a fault, or None if all pass."""
    part = next(part for part in PARTS if fault.path.is_relative_to(part))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "repository")
        ignored = shutil.ignore_patterns(
            ".git", ".venv", ".*_cache", "__pycache__", "tests", "bucket"
        )
        shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored)
        shutil.copytree(tests, copy / "tests", ignore=ignored)
        (copy / fault.path).write_text(planted((copy / fault.path).read_text(), fault))
        mirrored = Path("tests", fault.path.parent, f"test_{fault.path.name}")
        chosen = [str(mirrored)] if (copy / mirrored).exists() else []
        # In two runs: pytest runs the files of overlapping arguments in the order of their names.
        return next(filter(None, (_failure(copy, tests) for tests in [*chosen, PARTS[part]])), None)


def _failure(repository: Path, tests: str) -> str | None:
    """Return the first test that fails in a copy of the repository, or None if all pass."""
    # The copy is found before the installed package, because it is the working folder.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n0", tests]
    try:
        done = subprocess.run(
            command, cwd=repository, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "a timeout"
    if done.returncode == 0:
        return None
    lines = done.stdout.splitlines()
    named = [line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return named[0].rpartition("/")[2] if named else "an error before the tests"


def planted(source: str, fault: Fault) -> str:
    """Return a file's text with the fault in it."""
    lines = source.splitlines(keepends=True)
    head = lines[fault.line - 1].encode()[: fault.column].decode()
    tail = lines[fault.end_line - 1].encode()[fault.end_column :].decode()
    lines[fault.line - 1 : fault.end_line] = [f"{head}({fault.after}){tail}"]
    return "".join(lines)


def _faults_in(part: str) -> Iterator[Fault]:
    for file in sorted((ROOT / part).rglob("*.py")):
        tree = ast.parse(file.read_text())
        for node in _expressions(tree):
            after = _changed(node)
            if after is not None:
                assert node.end_lineno is not None and node.end_col_offset is not None  # noqa: S101
                yield Fault(
                    file.relative_to(ROOT),
                    node.lineno,
                    node.col_offset,
                    node.end_lineno,
                    node.end_col_offset,
                    ast.unparse(node),
                    ast.unparse(after),
                )


def _expressions(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that run: not those of types, defaults of f-strings or `match`."""
    skipped = (ast.JoinedStr, ast.AnnAssign, ast.arguments, ast.pattern, ast.Import)
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, skipped):
            if isinstance(child, ast.expr):
                yield child
            yield from _expressions(child)


def _changed(node: ast.expr) -> ast.expr | None:
    """Return the expression with a fault, or None where it has no place for one."""
    match node:
        case ast.Compare(left, [operator], comparators) if type(operator) in _COMPARISONS:
            return ast.Compare(left, [_COMPARISONS[type(operator)]()], comparators)
        case ast.BoolOp(ast.And(), values):
            return ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(ast.Or(), values):
            return ast.BoolOp(ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return operand
        case ast.BinOp(left, operator, right) if type(operator) in _SIGNS:
            # A text or a list is joined by +, which has no opposite.
            texts = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
            if isinstance(left, texts) or isinstance(right, texts[1:]):
                return None
            return ast.BinOp(left, _SIGNS[type(operator)](), right)
        case ast.Constant(int(value)) if not isinstance(value, bool):
            return ast.Constant(value + 1)
        case ast.Subscript(value, ast.Constant(str(key)), context):
            return ast.Subscript(value, ast.Constant(f"{key}_"), context)
    return None


if __name__ == "__main__":
    app()
