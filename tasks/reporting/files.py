"""Puts a report's files into the bucket, and remembers what a record has to say of them."""

from diamond_cutter.storage import Bucket, crc32c
from diamond_cutter.storage.sets.layout import report_image_key, report_layer_key, report_table_key
from diamond_cutter.storage.sets.records import FileRef
from diamond_cutter.storage.sets.sprite_set import put_determined


class ReportFiles:
    """The files of a report so far: `refs` is what its record commits."""

    def __init__(self, bucket: Bucket, folder: str) -> None:
        self._bucket, self._folder = bucket, folder
        self.refs: dict[str, FileRef] = {}

    def image(self, name: str, data: bytes, suffix: str) -> str:
        """Keep a picture of an image, or the numbers of some; return its place as seen from the
        report's folder.
        """
        return self.put(report_image_key(self._folder, name, data, suffix), data)

    def layer(self, layer: str, name: str, data: bytes, suffix: str) -> str:
        """Keep a picture, or the numbers, of a layer; return its place as seen from the report's
        folder.
        """
        return self.put(report_layer_key(self._folder, layer, name, data, suffix), data)

    def table(self, name: str, data: bytes) -> str:
        """Keep a table; return its place as seen from the report's folder."""
        return self.put(report_table_key(self._folder, name, data), data)

    def put(self, key: str, data: bytes) -> str:
        """Keep a file whose key its content decides; return its place as seen from the report's
        folder.
        """
        self.refs[key] = FileRef.of(put_determined(self._bucket, key, data), crc32c(data))
        return key.removeprefix(self._folder)
