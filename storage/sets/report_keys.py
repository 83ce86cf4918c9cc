"""The keys of reports on images; layout.py draws the whole bucket."""

from diamond_cutter.storage.sets.layout import escape, fingerprinted


def report_asset_key(folder: str, data: bytes, suffix: str) -> str:
    """Return the key of a script, a style or an icon of a report, committed by report.json."""
    return fingerprinted(f"{folder}report.json", data, suffix)


def report_folder(dataset: str, model: str, report: str) -> str:
    """Return the folder of a report; `dataset` is the name and hash of the images' folder."""
    return f"reports/{dataset}/{model}/{report}/"


def report_key(folder: str) -> str:
    """Return the key of the record that commits the report in a folder."""
    return folder + "report.json"


def report_page_key(folder: str) -> str:
    """Return the key of the page of a report."""
    return folder + "index.html"


def methods_key(folder: str) -> str:
    """Return the key of the record of the method that suits each layer of a report."""
    return folder + "methods.json"


def details_key(folder: str) -> str:
    """Return the key of the record of a report's details on single images."""
    return folder + "details.json"


def images_record_key(folder: str, first: int, end: int) -> str:
    """Return the key of the record of the measurements of images `first` to `end` - 1."""
    return f"{folder}images/{first:05d}-{end - 1:05d}.json"


def report_image_key(folder: str, name: str, data: bytes, suffix: str) -> str:
    """Return the key of a picture of an image, or of the data of several images."""
    return fingerprinted(f"{folder}images/{name}.json", data, suffix)


def report_layer_key(folder: str, layer: str, name: str, data: bytes, suffix: str) -> str:
    """Return the key of a picture or of the data of a layer in a report."""
    return fingerprinted(f"{folder}layers/{escape(layer)}/{name}.json", data, suffix)


def report_table_key(folder: str, name: str, data: bytes) -> str:
    """Return the key of a table of a report."""
    return fingerprinted(f"{folder}{name}.json", data, "parquet")


def report_file_key(folder: str, name: str, data: bytes, suffix: str) -> str:
    """Return the key of another file of a report, such as a chart."""
    return fingerprinted(f"{folder}{name}.json", data, suffix)
