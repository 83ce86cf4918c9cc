"""What the steps of one command share: its models, its images and its device processes.

A deployment runs a flow without a command, so the flow resolves everything by itself.
"""

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from diamond_cutter.flows.events.progress import say
from diamond_cutter.flows.stops import GRACE_S, current_stop, handling
from diamond_cutter.model_inventory.card import ModelCard
from diamond_cutter.storage import Bucket
from diamond_cutter.storage.parallel import at_once
from diamond_cutter.tasks.devices import DeviceSlots
from diamond_cutter.tasks.gathering.contents import models_with_sets
from diamond_cutter.tasks.importing.stored import read_card
from diamond_cutter.tasks.photos.finding import check_images, find_images
from diamond_cutter.tasks.photos.image_set import ImageSet


@dataclass
class _Scope:
    cards: dict[tuple[str, str], ModelCard] = field(default_factory=dict)
    with_sets: dict[str, list[ModelCard | None]] = field(default_factory=dict)
    reading: threading.Lock = field(default_factory=threading.Lock)
    images: dict[str, ImageSet] = field(default_factory=dict)
    slots: DeviceSlots | None = None
    places: Callable[[], int] = lambda: 1
    starts_until: float = float("inf")


_current: ContextVar[_Scope | None] = ContextVar("run scope", default=None)


@contextmanager
def run_scope() -> Iterator[None]:
    """Share models, images and device processes in the block; inner scopes join the outer one."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(_Scope())
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def workplace(
    runner: str,
    devices: Sequence[str],
    grace_s: float = GRACE_S,
    budget_minutes: float | None = None,
) -> Iterator[DeviceSlots]:
    """Submit the tasks of the current flow run to a runner in the block.

    Args:
        runner: `local`, or the URL of a cluster.
        devices: the names of the devices of this machine to use.
        grace_s: seconds that tasks in flight may take after SIGTERM or Ctrl-C.
        budget_minutes: minutes after which no more tasks start, see `may_start`.

    Yields:
        The devices of this machine: those of the scope if it has any, otherwise new ones.

    Raises:
        RequestError: the runner is a cluster that does not answer or has no workers.
    """
    # Importing Prefect takes a second, and commands check their requests before.
    from diamond_cutter.flows.task_runners import tasks_on

    stop = current_stop()
    with run_scope():
        scope = _current.get()
        if scope is None:
            raise RuntimeError("there is no scope")
        before = dataclasses.replace(scope)
        if budget_minutes is not None:
            scope.starts_until = min(scope.starts_until, time.monotonic() + 60 * budget_minutes)
        with ExitStack() as stack:
            # First, so that signals are still handled while the devices are closed.
            stack.enter_context(handling((signal.SIGTERM, signal.SIGINT)))
            slots = before.slots
            if slots is None:
                slots = stack.enter_context(DeviceSlots(devices))
                slots.on_lost = say  # Prefect keeps logs off the terminal
            scope.slots = slots
            scope.places = stack.enter_context(tasks_on(runner, slots.__len__))
            stop.grace_s = grace_s
            stop.admit_with(slots.admit)
            try:
                yield slots
            finally:
                scope.slots, scope.places = before.slots, before.places
                scope.starts_until = before.starts_until


def may_start() -> bool:
    """Tell whether tasks may start: the budget of the run is not used up."""
    scope = _current.get()
    return scope is None or time.monotonic() < scope.starts_until


def places() -> int:
    """Return the number of tasks that can work at the same time."""
    scope = _current.get()
    return max(scope.places(), 1) if scope else 1


def on_gpus() -> bool:
    """Tell whether tasks work on GPUs of this machine."""
    scope = _current.get()
    return scope is not None and scope.slots is not None and scope.slots.has_gpu


def tasks_in_flight() -> int:
    """Return how many tasks to submit at once: one for each place, and some that wait for one."""
    scope = _current.get()
    count = scope.places() if scope else 1
    return count + max(1, count // 4) if count else 0


def known_card(bucket_url: str, model: str) -> ModelCard | None:
    """Return the card of a model that the scope has resolved, or None."""
    scope = _current.get()
    return scope.cards.get((bucket_url, model)) if scope else None


def remember_card(bucket_url: str, model: str, card: ModelCard) -> None:
    """Keep a card for the rest of the scope, under the name that was requested and its full key."""
    scope = _current.get()
    if scope is not None:
        scope.cards |= {(bucket_url, name): card for name in (model, card.key)}


def cards_with_sets(bucket: Bucket) -> Sequence[ModelCard | None]:
    """Return the cards of the models that have sprite sets; None for one that is unreadable.

    In a scope, the models are listed once, and each card is read once.
    """
    scope = _current.get() or _Scope()

    def card_of(model: str) -> ModelCard | None:
        return scope.cards.get((bucket.url, model)) or read_card(bucket, model)

    with scope.reading:  # models are planned at the same time
        if bucket.url not in scope.with_sets:
            scope.with_sets[bucket.url] = list(at_once(bucket, card_of, models_with_sets(bucket)))
        return scope.with_sets[bucket.url]


def known_images(place: str) -> ImageSet | None:
    """Return the images of a folder or URL that the scope has resolved, or None."""
    scope = _current.get()
    return scope.images.get(place) if scope else None


def resolve_images(place: str) -> ImageSet:
    """Return the images of a folder or URL, resolved once in a scope.

    Raises:
        BadPhotos, StorageError: as by `find_images`.
    """
    found = known_images(place) or find_images(place)
    scope = _current.get()
    if scope is not None:
        scope.images[place] = found
    return found


def require_images(place: str) -> None:
    """Check that a folder or URL has images; in a scope, resolve them.

    Raises:
        BadPhotos, StorageError: as by `find_images`.
    """
    if _current.get() is None:
        check_images(place)
    else:
        resolve_images(place)
