"""Keys, checksums and content types are the same for every bucket."""

import pytest

from diamond_cutter.storage import BadKey, check_key, content_type_of, crc32c
from diamond_cutter.storage.bucket import check_folder, check_prefix
from tests.storage.conformance import BAD_KEYS, GOOD_KEYS


def test_crc32c_of_the_known_vectors() -> None:
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_content_types() -> None:
    for key, expected in [
        ("a/b.webp", "image/webp"),
        ("a.b.json", "application/json; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("graph.pb", "application/octet-stream"),
        ("no-suffix", "application/octet-stream"),
        ("folder.json/file", "application/octet-stream"),
    ]:
        assert content_type_of(key) == expected


def test_good_keys() -> None:
    for key in GOOD_KEYS:
        check_key(key)
        for end in range(len(key) + 1):
            check_prefix(key[:end])


def test_bad_keys() -> None:
    for key in BAD_KEYS:
        with pytest.raises(BadKey):
            check_key(key)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("a//b", "key 'a//b' is not valid: it contains an empty name. Keys consist of names of"),
        (
            "é",
            r"key '\xe9' is not valid: it contains a character that is not allowed. Keys consist",
        ),
        (
            "../a",
            "key '../a' is not valid: it contains a name that begins or ends with a dot. Keys",
        ),
        (
            "x" * 250,
            "... (250 characters) is not valid: it contains a name of 250 characters. Keys",
        ),
        (
            "x/" * 500,
            "... (1000 characters) is not valid: expected at most 900 characters, found 1000",
        ),
    ],
)
def test_the_message_names_key_and_rule(key: str, message: str) -> None:
    with pytest.raises(BadKey) as refused:
        check_key(key)
    assert message in str(refused.value)


def test_folders_end_in_a_slash() -> None:
    check_folder("")
    check_folder("a/b/")
    for prefix in ("a", "/", "a//"):
        with pytest.raises(BadKey):
            check_folder(prefix)
