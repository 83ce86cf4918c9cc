"""Runs a flow on the Prefect server in use, or on a private one that stops with the run.

Requests are checked first: importing Prefect takes a second, and its server some more to start.
"""

from collections.abc import Callable
from typing import TypeVar

from diamond_cutter.flows.attach_request import AttachRequest
from diamond_cutter.flows.attach_summary import AttachSummary
from diamond_cutter.flows.attribution_request import AttributionRequest
from diamond_cutter.flows.attribution_summary import ReportSummary
from diamond_cutter.flows.compare_request import CompareRequest
from diamond_cutter.flows.compare_summary import CompareSummary
from diamond_cutter.flows.cut_request import CutRequest
from diamond_cutter.flows.cut_summary import CutSummary
from diamond_cutter.flows.errors import PrefectServerError
from diamond_cutter.flows.events.progress import doing
from diamond_cutter.flows.left_over import LeftOver
from diamond_cutter.flows.request_checks import (
    check_attach,
    check_attribution,
    check_compare,
    check_cut,
    check_sprites,
    check_tune,
)
from diamond_cutter.flows.request_fields import LOCAL
from diamond_cutter.flows.run_scope import run_scope
from diamond_cutter.flows.sprites_request import SpritesRequest, TuneRequest
from diamond_cutter.flows.sprites_summary import SpritesSummary
from diamond_cutter.tasks.devices import devices_of
from diamond_cutter.tasks.tuning.preset import Preset

_Request = TypeVar(
    "_Request",
    SpritesRequest,
    AttributionRequest,
    CutRequest,
    AttachRequest,
    CompareRequest,
    TuneRequest,
)
_Summary = TypeVar("_Summary")


def run_sprites(request: SpritesRequest) -> SpritesSummary:
    """Render sprites.

    Raises:
        SpritesFailed: some shards failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        with doing("checking the request"):
            check_sprites(request)
            from diamond_cutter.flows.sprites import sprites

        return _on_a_server(sprites, request)


def run_attribution(request: AttributionRequest) -> ReportSummary | LeftOver:
    """Explain a folder of images.

    Raises:
        AttributionFailed: some readable images failed; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        with doing("checking the request"):
            check_attribution(request)
            from diamond_cutter.flows.attribution import attribute_dataset

        return _on_a_server(attribute_dataset, request)


def run_cut(request: CutRequest) -> CutSummary | LeftOver:
    """Find where to cut.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        with doing("checking the request"):
            check_cut(request)
            from diamond_cutter.flows.cutting import find_cut

        return _on_a_server(find_cut, request)


def run_attach(request: AttachRequest) -> AttachSummary:
    """Attach new layers to a cut network.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        with doing("checking the request"):
            check_attach(request)
            from diamond_cutter.flows.attaching import attach

        return _on_a_server(attach, request)


def run_compare(request: CompareRequest) -> CompareSummary:
    """Compare two models.

    Raises:
        CutFailed: some tasks failed; all finished work is in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: the request cannot be met.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with run_scope():
        with doing("checking the request"):
            check_compare(request)
            from diamond_cutter.flows.comparing import compare_models

        return _on_a_server(compare_models, request)


def run_tune(request: TuneRequest) -> Preset:
    """Tune a model on a cluster. On this machine, `tuning.tune` needs no Prefect.

    Raises:
        ModelError, StorageError, RequestError: the request cannot be met.
        WorkerError: a layer took too long, or its process died; finished layers are kept.
        PrefectServerError: the server does not start, or was lost during the run.
    """
    with doing("checking the request"):
        check_tune(request)
        from diamond_cutter.flows.tuning_flow import tune

    return _on_a_server(tune, request)


def _on_a_server(flow: Callable[[_Request], _Summary], request: _Request) -> _Summary:
    with doing("starting a Prefect server"):
        import httpx

        from diamond_cutter.flows.server.prefect_server import prefect_server

    devices_of(request.devices)  # before the server starts
    if not isinstance(request, AttachRequest) and request.runner != LOCAL:
        request = request.lasting()  # the processes of a cluster have other working directories
    try:
        with prefect_server():
            return flow(request)
    except httpx.HTTPError as error:
        raise PrefectServerError(
            f"The Prefect server was lost during the run ({error}). All finished work is in the "
            "bucket. Check that the server is running, then run the same command to continue."
        ) from error
