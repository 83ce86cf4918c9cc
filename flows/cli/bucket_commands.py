"""The commands that show, check, copy and clean a bucket."""

import sys

from cyclopts import App

from diamond_cutter.flows.cli.options import BucketUrl, Json
from diamond_cutter.flows.errors import RequestError

FAILED = 1


def ls(*, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """List the sprite sets and the reports in a bucket, with their progress."""
    from diamond_cutter.flows.cli.bucket_output import print_bucket
    from diamond_cutter.flows.cli.listing import list_bucket
    from diamond_cutter.storage import open_bucket

    print_bucket(list_bucket(open_bucket(bucket)), as_json=json)


def show_key(key: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Show the statistics of a layer or set, the summary of a report, or the content of a record.

    Parameters
    ----------
    key
        A key as `ls` prints it, any other key in the bucket, or an unambiguous short name.
    """
    from diamond_cutter.flows.cli.bucket_output import print_shown
    from diamond_cutter.flows.cli.records import show
    from diamond_cutter.storage import open_bucket

    print_shown(show(open_bucket(bucket), key), as_json=json)


def open_picture(key: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Open a spritemap, a shard, a gallery or a report, and print its path.

    Parameters
    ----------
    key
        As for `show`: a layer opens its spritemap, a set its gallery.
    """
    from diamond_cutter.flows.cli.bucket_output import print_opened
    from diamond_cutter.flows.cli.viewer import open_key
    from diamond_cutter.storage import open_bucket

    print_opened(open_key(open_bucket(bucket), key), as_json=json)


def browse(*, bucket: BucketUrl = "./bucket", port: int = 0) -> None:
    """Serve the galleries and reports of a bucket to web browsers on this machine, until Ctrl-C.

    Parameters
    ----------
    port
        The port on 127.0.0.1; if omitted, any free port.
    """
    from diamond_cutter.flows.cli.browse import serve as serve_galleries
    from diamond_cutter.storage import open_bucket

    def print_url(url: str) -> None:
        sys.stdout.write(f"{url}  (Ctrl-C ends it)\n")
        sys.stdout.flush()  # a script that started this waits for the URL

    serve_galleries(open_bucket(bucket), port, print_url)


def verify(*, deep: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> int:
    """Check every record in a bucket, the checksum of every file, and every published page.

    Parameters
    ----------
    deep
        Download every file, instead of trusting the checksums of the storage service.
    """
    from diamond_cutter.flows.cli.bucket_output import print_verification
    from diamond_cutter.flows.events.progress import doing
    from diamond_cutter.flows.verification import verify as verify_bucket
    from diamond_cutter.storage import open_bucket

    with doing("checking the records and files"):
        found = verify_bucket(open_bucket(bucket), deep=deep)
    print_verification(found, as_json=json)
    return FAILED if found.problems else 0


def cp(source: str, target: str, *prefixes: str, json: Json = False) -> int:
    """Copy a bucket, or a part of it, to another bucket. Run it again to continue.

    diamond-cutter cp ./bucket gs://my-bucket/sprites models/ sprites/mine@1a2b3c4d/

    Parameters
    ----------
    source
        The bucket to copy from.
    target
        The bucket to copy to; its own files are kept.
    prefixes
        Copy only the keys that begin with one of these; if omitted, copy everything.
    """
    from diamond_cutter.flows.cli.bucket_output import print_copied
    from diamond_cutter.flows.cli.copies import copy
    from diamond_cutter.flows.cli.transfers import counted_files
    from diamond_cutter.storage import open_bucket

    with counted_files("cp", "copying") as on_file:
        copied = copy(open_bucket(source), open_bucket(target), prefixes, on_file)
    print_copied(copied, as_json=json)
    return FAILED if copied.problems else 0


def gc(*, delete: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """List unused files older than a day, which killed runs and replaced records leave behind.

    Parameters
    ----------
    delete
        Delete the files that are listed.
    """
    from diamond_cutter.flows.cli.bucket_output import print_cleaned
    from diamond_cutter.flows.cli.removal import collect
    from diamond_cutter.storage import open_bucket

    print_cleaned(collect(open_bucket(bucket), delete=delete), as_json=json)


def rm(key: str, *, yes: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Remove a sprite set or a report, after asking for confirmation.

    Parameters
    ----------
    key
        The folder of the set or the report, as `ls` prints it.
    yes
        Do not ask for confirmation.
    """
    from diamond_cutter.flows.cli.bucket_output import print_removed_folder
    from diamond_cutter.flows.cli.removal import find_folder, remove_folder
    from diamond_cutter.flows.quantities import sized
    from diamond_cutter.storage import open_bucket

    opened = open_bucket(bucket)
    found = find_folder(opened, key)
    if not yes:
        _confirm(
            f"{found.key} of {opened.url}: {found.files} files, {sized(found.bytes)}. Remove "
            "permanently?"
        )
    print_removed_folder(remove_folder(opened, found.key), as_json=json)


BUCKET_COMMANDS = App()
for _command in (ls, browse, verify, cp, gc, rm):
    BUCKET_COMMANDS.command(_command)
BUCKET_COMMANDS.command(show_key, name="show")
BUCKET_COMMANDS.command(open_picture, name="open")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise RequestError(
            "rm needs a confirmation, but there is no terminal to ask on. Give --yes to confirm."
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RequestError("nothing was removed")
