"""Written files: private, complete or absent, through links and pipes, and never over another file."""

from __future__ import annotations

import os
import re
import resource
import signal
import threading
from pathlib import Path

import pytest

import gatepost_operations
from gatepost_operations.files.output import FileExistsAlready, cannot_write, output_file
from gatepost_operations.files.text_reader import FileError
from gatepost_operations.local.environment import write_private


def put(path: Path, text: str = "new\n", *, replace: bool = False) -> None:
    with output_file(path, replace=replace) as file:
        file.write(text)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_file_is_private_and_alone(tmp_path: Path) -> None:
    """Mode 0600 from the first byte on, whatever the umask, and no temporary file is left."""
    put(tmp_path / "out.txt")

    assert mode_of(tmp_path / "out.txt") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """The error names the file and the option that replaces it, before anything is written."""
    file = tmp_path / "out.txt"
    file.write_text("old")
    with pytest.raises(FileExistsAlready, match=r"out\.txt exists already; .*--force"):
        put(file)

    assert file.read_text() == "old"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """The name is looked at again before it gets the content."""
    file = tmp_path / "out.txt"

    def put_late() -> None:
        with output_file(file) as output:
            output.write("new")
            file.write_text("old")

    with pytest.raises(FileExistsAlready):
        put_late()

    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_that_is_replaced_becomes_private(tmp_path: Path) -> None:
    """The old mode would show the new content to others."""
    file = tmp_path / "out.txt"
    file.write_text("old")
    file.chmod(0o644)
    put(file, replace=True)

    assert (file.read_text(), mode_of(file)) == ("new\n", 0o600)


def test_links_are_followed(tmp_path: Path) -> None:
    """The link stays a link, and its target gets the content, whether it existed or not."""
    (tmp_path / "real").mkdir()
    target, link, dangling = tmp_path / "real" / "out.txt", tmp_path / "link.txt", tmp_path / "dangling.txt"
    target.write_text("old")
    link.symlink_to("real/out.txt")
    dangling.symlink_to(tmp_path / "real" / "later.txt")
    with pytest.raises(FileExistsAlready):
        put(link)
    put(link, replace=True)
    put(dangling)

    assert link.is_symlink()
    assert dangling.is_symlink()
    assert target.read_text() == "new\n"
    assert (tmp_path / "real" / "later.txt").read_text() == "new\n"
    assert mode_of(target) == 0o600


def test_a_pipe_gets_the_text(tmp_path: Path) -> None:
    """A named pipe stays a pipe, so that the reader at its end gets everything."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    put(pipe)
    reader.join(60)

    assert read == ["new\n"]
    assert pipe.is_fifo()


def test_a_reader_that_goes_away_is_named(tmp_path: Path) -> None:
    """Nothing is retried or left half written under another name."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def put_unread() -> None:
        with output_file(pipe) as output:
            os.close(reader)
            output.write("new" * 100_000)

    with pytest.raises(FileError, match="pipe cannot be written: Broken pipe"):
        put_unread()

    assert pipe.is_fifo()


def test_a_full_device_is_named_and_kept() -> None:
    """`/dev/full` is a device on which every byte is one too many."""
    with pytest.raises(FileError, match="full cannot be written: the disk is full; free some space"):
        put(Path("/dev/full"))

    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("name", ["/dev/null", "/dev/fd/{}", "/proc/self/fd/{}"])
def test_devices_and_open_descriptors_are_written_directly(tmp_path: Path, name: str) -> None:
    """Also a descriptor of a regular file, such as /dev/stdout that a shell has redirected."""
    with (tmp_path / "out.txt").open("w+") as open_file:
        put(Path(name.format(open_file.fileno())))
        text = open_file.read()

    assert text == ("" if name == "/dev/null" else "new\n")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_used_up_quota_is_named() -> None:
    """A quota is no full disk: other people can still write."""
    failure = OSError(122, os.strerror(122))

    assert str(cannot_write("out.csv", failure)).startswith("out.csv cannot be written: your disk quota is used up;")


def test_a_file_that_cannot_be_completed_does_not_appear(tmp_path: Path) -> None:
    """A limit of the process stops the write in the middle; the old file stays whole."""
    file = tmp_path / "out.txt"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        with pytest.raises(FileError, match=r"out\.txt cannot be written: File too large"):
            put(file, "new\n" * 100_000, replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_long_name_that_the_disk_allows_is_written(tmp_path: Path) -> None:
    """The temporary name does not add to the file's."""
    file = tmp_path / ("x" * 255)
    put(file)

    assert file.read_text() == "new\n"


def test_a_directory_is_named(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(FileError, match="is a directory; give the name of a file"):
        put(tmp_path)


def test_the_variables_of_local_processes_are_written_in_the_same_way(tmp_path: Path) -> None:
    """They hold keys: private, through a link, and each run replaces those of the last."""
    (tmp_path / "link.env").symlink_to("real.env")
    write_private(tmp_path / "link.env", "first")
    write_private(tmp_path / "link.env", "second")

    assert (tmp_path / "link.env").is_symlink()
    assert (tmp_path / "real.env").read_text() == "second"
    assert mode_of(tmp_path / "real.env") == 0o600


def test_every_written_file_goes_through_one_function() -> None:
    """Only logs of the demo and the lock of `dev` are opened for writing elsewhere."""
    writes = re.compile(r"write_text\(|write_bytes\(|mkstemp\(|open\([^)]*[\"'][wax]b?\+?[\"']").search
    package = Path(gatepost_operations.__path__[0])
    found = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if any(writes(line.replace("_write_text(", "")) for line in file.read_text().splitlines())
    }

    assert found == {"files/output.py", "local/demo/processes.py", "cli/dev_environment.py"}
