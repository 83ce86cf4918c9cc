"""Prints models and their layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diamond_cutter.flows.cli.models import Removed
from diamond_cutter.flows.cli.output import print_result
from diamond_cutter.flows.cli.tables import Rows
from diamond_cutter.flows.quantities import counted, share, sized
from diamond_cutter.model_inventory.card import LayerCard, ModelCard
from diamond_cutter.model_inventory.catalogue import ModelListing
from diamond_cutter.model_inventory.imagenet_accuracy import known_accuracy
from diamond_cutter.model_inventory.preprocessing import preprocessing_in_words
from diamond_cutter.tasks.importing.exporting import Exported
from diamond_cutter.tasks.importing.stored import Added
from diamond_cutter.tasks.sheets import spritemap_shape

if TYPE_CHECKING:
    from diamond_cutter.flows.model_check import ModelCheck


_FETCH = "diamond-cutter models fetch"


def print_models(models: Sequence[ModelListing], *, as_json: bool) -> None:
    """Print the available models."""
    rows = [
        (
            model.name,
            model.source,
            f"{model.height} x {model.width}",
            "" if model.layers is None else str(model.layers),
            "" if model.channels is None else f"{model.channels:,}",
            "missing" if model.weights.startswith(_FETCH) else model.weights,
        )
        for model in models
    ]
    print_result(
        models,
        as_json,
        Rows(("model", "source", "image", "layers", "channels", "weights"), rows),
        f"Run `{_FETCH} MODEL` to fetch missing weights. It also takes kerashub/PRESET, a preset "
        "of KerasHub, and timm/NAME, a network of timm.",
    )


def print_added(added: Added, *, as_json: bool) -> None:
    """Print the card of an added model, the guesses of its import, and what it lacks."""
    guessed = [f"guessed {guess}" for guess in added.guesses]
    print_result(added, as_json, *card_parts(added.card), *guessed, *added.notes)


def print_check(found: "ModelCheck", *, as_json: bool) -> None:
    """Print the accuracy of a model under each preprocessing, and the verdict."""
    print_result(found, as_json, Rows(*found.table()), *found.in_words())


def print_exported(exported: Exported, *, as_json: bool) -> None:
    """Print the paths of an exported model."""
    written = (
        f"wrote {exported.keras}" if exported.keras else f"no Keras file: {exported.why_no_keras}"
    )
    print_result(exported, as_json, f"wrote {exported.saved_model}", written)


def print_removed(removed: Removed, *, as_json: bool) -> None:
    """Print the result of `models remove`."""
    print_result(
        removed,
        as_json,
        f"removed {removed.model}: {removed.files} files, {sized(removed.bytes)}; its sprites are "
        "kept",
    )


def print_card(card: ModelCard, *, as_json: bool) -> None:
    """Print a model's input and accuracy, and its layers in forward order."""
    shown = card.model_copy(update={"imagenet": known_accuracy(card)})
    print_result(shown, as_json, *card_parts(shown))


def card_parts(card: ModelCard) -> list[str | Rows]:
    """Return the facts about a model, and the table of its layers."""
    rows = [
        (
            layer.name,
            layer.kind,
            str(layer.channels),
            f"{layer.height} x {layer.width}" if layer.height else "",
            _reach(layer),
            counted(layer.macs),
            str(spritemap_shape(layer.channels)[0]),
            "main" if layer.main else "",
        )
        for layer in card.layers
    ]
    image = card.image
    order = {"none": "", "rgb": " in the order RGB", "bgr": " in the order BGR"}[
        image.channel_order
    ]
    facts = [
        f"{card.key}, from {card.source.origin}",
        f"input: {image.height} x {image.width} pixels, {image.channels} "
        f"channel{'s' * (image.channels > 1)}{order}, values {preprocessing_in_words(image)}",
        f"{len(card.layers)} layers with {sum(layer.channels for layer in card.layers):,} "
        f"channels, {len(card.labels)} named classes",
    ]
    facts += _heads(card)
    accuracy = known_accuracy(card)
    if accuracy is not None:
        facts.append(f"ImageNet top-1 accuracy: {share(accuracy.top1)}, from {accuracy.source}")
    head = ("layer", "kind", "channels", "size", "sees", "multiplications", "columns", "")
    return ["\n".join(facts), Rows(head, rows)]


def _heads(card: ModelCard) -> list[str]:
    """Return a line about the head, and one about the other outputs of the file."""
    if card.logits is None:
        return ["head: none, because the output is not read as scores; see --head of `models add`"]
    many = "s" * (card.logits.channels > 1)
    kinds = {
        "classes": f"{card.logits.channels} class{'es' * (card.logits.channels > 1)}",
        "two classes": "two classes by one score",
        "values": f"{card.logits.channels} value{many}",
    }
    head = card.head
    where = f", from the output {head.output}" if head and head.output else ""
    averaged = ", averaged over the picture" if head and head.averaged else ""
    lines = [f"head: {kinds[card.head_kind]}{where}{averaged}; layer {card.logits.name}"]
    if head and head.outputs:
        lines.append("outputs: " + ", ".join(output.in_words() for output in head.outputs))
    return lines


def _reach(layer: LayerCard) -> str:
    """Return the receptive field of one position."""
    if not layer.height:
        return ""
    return f"{layer.receptive_field} px" if layer.receptive_field else "all"
