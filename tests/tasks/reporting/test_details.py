"""The details of images share files that stay small."""

from diamond_cutter.tasks.reporting.details import in_files
from diamond_cutter.tasks.reporting.page_data import ImageDetails, ImageLayer


def image(number: int, cells: int) -> ImageDetails:
    """Return an image with maps of about four bytes a cell."""
    layer = ImageLayer(maps=(), activated=(), amounts=(200,) * cells, same_place=())
    return ImageDetails(
        number=number,
        name=f"{number}.png",
        file=f"{number}.webp",
        label=None,
        right=None,
        predicted=(),
        explained=(),
        layers=(layer,),
    )


def numbers_by_file(cells: list[int]) -> list[list[int]]:
    """Return the numbers of images in each file, given the number of cells of each image."""
    pages = in_files(image(number, size) for number, size in enumerate(cells))
    return [[one.number for one in page.images] for page in pages]


def test_small_details_share_files_of_twelve_images() -> None:
    assert numbers_by_file([]) == []
    assert numbers_by_file([10] * 25) == [list(range(12)), list(range(12, 24)), [24]]


def test_large_details_have_files_of_their_own() -> None:
    # 400 kB, 400 kB, 280 kB, 1.2 MB, and little.
    assert numbers_by_file([100_000, 100_000, 70_000, 300_000, 1, 1]) == [[0], [1, 2], [3], [4, 5]]
