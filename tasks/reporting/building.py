"""Build a report from the measurements: its contents, its tables and the files of its pages."""

from collections.abc import Callable, Mapping

from diamond_cutter.tasks.attribution.totals import ALL, RIGHT, WRONG, SetName, Totals
from diamond_cutter.tasks.gathering.index import to_parquet
from diamond_cutter.tasks.pages.scripts import as_script
from diamond_cutter.tasks.photos.bands import preview_in_words
from diamond_cutter.tasks.photos.image_set import ImageSet
from diamond_cutter.tasks.reporting.annotating import Annotator
from diamond_cutter.tasks.reporting.choosing import shown_sets
from diamond_cutter.tasks.reporting.contents import (
    Accuracy,
    AnnotatedImage,
    ImageSetCard,
    RefusedImage,
    ReportContents,
    ShownClass,
    Table,
    Values,
)
from diamond_cutter.tasks.reporting.failed_sprites import failed_sprites
from diamond_cutter.tasks.reporting.finding import finding
from diamond_cutter.tasks.reporting.layer_contents import short
from diamond_cutter.tasks.reporting.layer_sprites import LayerSprites
from diamond_cutter.tasks.reporting.layers import BuiltLayer, Material, report_layer
from diamond_cutter.tasks.reporting.page_data import ImageList, ListedImage
from diamond_cutter.tasks.reporting.pages import IMAGE_LIST
from diamond_cutter.tasks.reporting.pictures import PatchCutter
from diamond_cutter.tasks.reporting.stored import ReportFiles
from diamond_cutter.tasks.reporting.tables import (
    channels_table,
    examples_table,
    groups_table,
    images_table,
    set_title,
)


def build_report(
    material: Material,
    images: ImageSet,
    refused: Mapping[str, str],
    sprites_of: Callable[[str], LayerSprites],
    files: ReportFiles,
) -> ReportContents:
    """Write the files of a report, except the page and its assets, and return its contents.

    Args:
        material: the measurements and where sprites come from.
        images: all images of the dataset.
        refused: the reason for each image that was unreadable when measured, by name.
        sprites_of: returns the sprites of a layer.
        files: receives the files.
    """
    card, spec, details = material.card, material.spec, material.details
    sums, totals = material.sums, material.sums.totals
    cutter = PatchCutter(card, dict(enumerate(images.images)))
    layers = {
        name: report_layer(material, card.layer(name), sprites_of(name), cutter, files)
        for name in spec.layers
    }
    annotated = Annotator(material.bucket, files.folder, card, spec, sums, details).images()
    found = finding(card, spec, totals, details)
    return ReportContents(
        dataset=images.name,
        model=card.key,
        report=spec.key,
        sprites=spec.sprites,
        spec=spec,
        images=totals.images(),
        labels=images.labels,
        pictures=preview_in_words(card.image.channels),
        refused=_refused(images, refused),
        accuracy=_accuracy(totals),
        head=card.head_kind,
        values=_values(material) if card.head_kind == "values" else None,
        classes=_named_classes(material),
        sets=_set_cards(material),
        layers=tuple(layer.part for layer in layers.values()),
        flows=details.flows,
        shown=_image_list(material, files),
        pages=details.pages,
        tables=_tables(material, files),
        finding=found.said,
        belief=found.belief,
        annotated=tuple(_with_sprite(image, layers[image.layer]) for image in annotated),
        failed_sprites=failed_sprites(
            card.name, spec.sprites, {name: layer.flags for name, layer in layers.items()}
        ),
        versions=details.versions,
        created=details.created,
    )


def _with_sprite(image: AnnotatedImage, layer: BuiltLayer) -> AnnotatedImage:
    """Return an annotated image with the cell and the flags of its channel's sprite."""
    cell = layer.cells.get(image.channel)
    flags = () if cell is None else layer.flags[cell]
    return image.model_copy(update={"sprite": cell, "flags": flags})


def _refused(images: ImageSet, refused: Mapping[str, str]) -> tuple[RefusedImage, ...]:
    listed = {bad.name: bad.reason for bad in images.refused} | dict(refused)
    return tuple(RefusedImage(name=name, reason=reason) for name, reason in sorted(listed.items()))


def _accuracy(totals: Totals) -> Accuracy | None:
    labelled = totals.labelled
    if not labelled:
        return None
    return Accuracy(
        images=labelled, top1=totals.right / labelled, top5=totals.right_of_five / labelled
    )


def _values(material: Material) -> Values:
    """Return the values of the images of a regression, which stand in place of probabilities."""
    found = [line.probability for line in material.sums.images]
    return Values(
        lowest=short(min(found)), mean=short(sum(found) / len(found)), highest=short(max(found))
    )


def _named_classes(material: Material) -> tuple[ShownClass, ...]:
    """Return the classes that any part of the report names."""
    card, spec, details = material.card, material.spec, material.details
    numbers = {name.number for name in shown_sets(material.sums.totals) if name.kind == "class"}
    numbers |= set(details.classes)
    numbers |= {number for number in (spec.positive, spec.negative) if isinstance(number, int)}
    numbers |= {number for found in details.groups.values() for number in found.by_class}
    numbers |= {0, 1} if card.head_kind == "two classes" else set()
    return tuple(
        ShownClass(
            number=number,
            name=card.class_label(number).name,
            wnid=card.class_label(number).wnid,
        )
        for number in sorted(numbers)
    )


def _set_cards(material: Material) -> tuple[ImageSetCard, ...]:
    """Return the sets of images that the report shows."""
    totals = material.sums.totals
    return tuple(
        ImageSetCard(
            kind=name.kind,
            title=set_title(material.card, name),
            class_number=name.number if name.kind == "class" else None,
            images=totals.images(name),
            mixes_questions=totals.mixes_questions(name),
        )
        for name in shown_sets(totals)
    )


def _image_list(material: Material, files: ReportFiles) -> str:
    """Write the list of the shown images, and return its path."""
    names, pictures = shown_sets(material.sums.totals), _pictures(material)
    lines = {line.image: line for line in material.sums.images if line.image in pictures}
    listed = []
    for number, picture in sorted(pictures.items()):
        line = lines[number]
        right = None if line.label_class < 0 else line.label_class == line.predicted
        inside = {ALL, SetName("label", line.label or ""), SetName("class", number=line.predicted)}
        inside |= set() if right is None else {RIGHT if right else WRONG}
        listed.append(
            ListedImage(
                number=number,
                name=line.name,
                file=picture,
                label=line.label,
                predicted=line.predicted,
                value=short(line.probability) if material.card.head_kind == "values" else None,
                right=right,
                sets=tuple(place for place, name in enumerate(names) if name in inside),
            )
        )
    return files.image("list", as_script(IMAGE_LIST, ImageList(images=tuple(listed))), "js")


def _pictures(material: Material) -> dict[int, str]:
    """Return the paths of the shown images' pictures, by image number."""
    keys = (file.key for file in material.details.files if file.key.endswith(".webp"))
    names = (key.rpartition("/")[2] for key in keys)
    return {int(name.partition(".")[0]): f"images/{name}" for name in names}


def _tables(material: Material, files: ReportFiles) -> tuple[Table, ...]:
    card, sums = material.card, material.sums
    tables = {
        "images": images_table(card, sums),
        "channels": channels_table(card, material.spec, sums.totals),
        "examples": examples_table(sums.examples),
        "groups": groups_table(material.details.groups),
    }
    return tuple(
        Table(title=title, file=files.table(title, to_parquet(table)), rows=len(table))
        for title, table in tables.items()
    )
