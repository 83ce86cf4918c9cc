"""Runs the flow as the command line does: on the Prefect server in use, or a private one for as long as it takes."""

from flows.errors import PrefectServerError, RequestError
from flows.request import SpritesRequest
from flows.summary import RunSummary
from storage import open_bucket
from tasks.photos.finding import check_images

_PARAMETERS_LIMIT = 500_000


def run_sprites(request: SpritesRequest) -> RunSummary:
    """Render sprites.

    Raises:
        SpritesFailed: some shards could not be rendered; all others are in the bucket.
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
        PrefectServerError: there is no server, or it was lost on the way.
    """
    check(request)
    # Prefect takes a second to import and its server some more to start: not before the request is known to be sound.
    import httpx

    from flows.prefect_server import prefect_server
    from flows.sprites import sprites

    try:
        with prefect_server():
            return sprites(request)
    except httpx.HTTPError as error:
        raise PrefectServerError(
            f"The Prefect server was lost in the middle of the run ({error}): what was rendered is in the bucket; see that the "
            "server runs, and the same command goes on from there."
        ) from error


def check(request: SpritesRequest) -> None:
    """Refuse a request that cannot be met, as far as can be told without rendering.

    Raises:
        ModelError, StorageError, RequestError, BadPhotos: what is asked for cannot be had.
    """
    from flows.request import select
    from tasks.importing.stored import find_model

    # Prefect keeps the parameters of each run, and takes no more.
    size = len(request.model_dump_json())
    if size > _PARAMETERS_LIMIT:
        raise RequestError(
            f"the mixes take {size:,} bytes to write down, of which a run may have {_PARAMETERS_LIMIT:,}; render them in several runs"
        )
    if request.photos is not None:
        check_images(request.photos)
    bucket = open_bucket(request.bucket)
    bucket.check()
    card = find_model(bucket, request.model)
    if card is not None:
        select(card, request)
