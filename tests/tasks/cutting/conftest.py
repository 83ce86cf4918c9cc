"""One thread for linear algebra, as the processes of scores have: more wait for each other."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    from diamond_cutter.tasks.cutting import probe

    with probe.one_thread():
        yield
