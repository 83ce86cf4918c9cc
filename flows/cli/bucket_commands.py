"""The commands that look at what is in a bucket, and keep it in order."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cyclopts import App

from diamond_cutter.flows.cli.options import BucketUrl, Json
from diamond_cutter.flows.errors import RequestError

FAILED = 1


def ls(*, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """List the sprite sets and the reports in a bucket, and how far they are."""
    from diamond_cutter.flows.cli.listing import list_bucket
    from diamond_cutter.flows.cli.output import print_bucket
    from diamond_cutter.storage import open_bucket

    print_bucket(list_bucket(open_bucket(bucket)), as_json=json)


def show_key(key: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Show what lies under a key of a bucket: a layer's or a set's sprites in numbers, a report in
    short, or what a record says.

    Parameters
    ----------
    key
        What `ls` prints, or any path in the bucket: a layer's, a set's or a report's folder, a
        record, a shard or a spritemap. A short name, such as that of a layer, is enough if only one
        thing in the bucket has it.
    """
    from diamond_cutter.flows.cli.output import print_shown
    from diamond_cutter.flows.cli.records import show
    from diamond_cutter.storage import open_bucket

    print_shown(show(open_bucket(bucket), key), as_json=json)


def open_picture(key: str, *, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Open a picture or a report of a bucket, fetching it first if the bucket is elsewhere, and
    print its path.

    Parameters
    ----------
    key
        As `show` takes it: a layer's folder for its spritemap, a set's for its gallery, a report's,
        a picture, or its record.
    """
    from diamond_cutter.flows.cli.output import print_opened
    from diamond_cutter.flows.cli.viewer import open_key
    from diamond_cutter.storage import open_bucket

    print_opened(open_key(open_bucket(bucket), key), as_json=json)


def browse(*, bucket: BucketUrl = "./bucket", port: int = 0) -> None:
    """Look around in a bucket with a web browser: serve its galleries on this machine until Ctrl-C.

    Parameters
    ----------
    port
        Of 127.0.0.1; any that is free if left out.
    """
    from diamond_cutter.flows.cli.browse import serve as serve_galleries
    from diamond_cutter.storage import open_bucket

    def tell(url: str) -> None:
        sys.stdout.write(f"{url}  (Ctrl-C ends it)\n")
        sys.stdout.flush()  # whoever has started this waits for it

    serve_galleries(open_bucket(bucket), port, tell)


def verify(*, deep: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> int:
    """Check every record in a bucket, and the checksum of every file that it names.

    Parameters
    ----------
    deep
        Download every file and check it here, where the service that keeps it would be believed.
    """
    from diamond_cutter.flows.cli.output import print_verification
    from diamond_cutter.flows.verification import verify as verify_bucket
    from diamond_cutter.storage import open_bucket

    found = verify_bucket(open_bucket(bucket), deep=deep)
    print_verification(found, as_json=json)
    return FAILED if found.problems else 0


def cp(source: str, target: str, *prefixes: str, json: Json = False) -> int:
    """Copy a bucket, or what lies below some prefixes of it, into another one; the same command
    again copies the rest.

    diamond-cutter cp ./bucket gs://my-bucket/sprites models/ sprites/mine@1a2b3c4d/

    Parameters
    ----------
    source
        The bucket to copy from.
    target
        The bucket to copy to; what is there stays.
    prefixes
        Beginnings of keys; all there is, if left out.
    """
    from diamond_cutter.flows.cli.copies import copy
    from diamond_cutter.flows.cli.output import print_copied
    from diamond_cutter.storage import open_bucket

    with _counting() as on_file:
        copied = copy(open_bucket(source), open_bucket(target), prefixes, on_file)
    print_copied(copied, as_json=json)
    return FAILED if copied.problems else 0


def gc(*, delete: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """List the files, older than a day, that no record names: what killed runs and replaced records
    leave behind.

    Parameters
    ----------
    delete
        Delete them, too.
    """
    from diamond_cutter.flows.cli.output import print_cleaned
    from diamond_cutter.flows.cli.removal import collect
    from diamond_cutter.storage import open_bucket

    print_cleaned(collect(open_bucket(bucket), delete=delete), as_json=json)


def rm(key: str, *, yes: bool = False, bucket: BucketUrl = "./bucket", json: Json = False) -> None:
    """Remove a whole sprite set, or a report, after asking.

    Parameters
    ----------
    key
        The folder, as `ls` prints it.
    yes
        Do not ask.
    """
    from diamond_cutter.flows.cli.output import print_removed_folder
    from diamond_cutter.flows.cli.removal import find_folder, remove_folder
    from diamond_cutter.flows.quantities import sized
    from diamond_cutter.storage import open_bucket

    opened = open_bucket(bucket)
    found = find_folder(opened, key)
    if not yes:
        _confirm(
            f"{found.key} of {opened.url}: {found.files} files, {sized(found.bytes)}. Remove them "
            "for good?"
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
            "rm asks before it removes, and nobody is here to answer; give --yes if you are sure"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RequestError("nothing was removed")


@contextmanager
def _counting() -> Iterator[Callable[[int, int], None]]:
    """Show a bar of files; nothing where standard error is no terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("files", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
