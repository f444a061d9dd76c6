"""What is wrong with an archive is the sender's to mend; what is wrong with our disk is not said to be theirs."""

from __future__ import annotations

import errno
import io
import zipfile

import pytest

from encoder.errors import PhotoDamaged
from service.archive import read_member


class Failing(io.BytesIO):
    """A file on a disk that fails."""

    number: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.number is not None:
            raise OSError(self.number, "failed")
        return super().read(size)


def zipped() -> Failing:
    file = Failing()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", b"photo" * 100)
    return file


def test_a_disk_that_fails_is_not_called_a_damaged_file() -> None:
    file = zipped()
    with zipfile.ZipFile(file) as archive:
        file.number = errno.EIO
        with pytest.raises(OSError, match="failed"):
            read_member(archive, "a.jpg", 10_000)


def test_a_place_outside_the_file_is_damage() -> None:
    file = zipped()
    with zipfile.ZipFile(file) as archive:
        file.number = errno.EINVAL
        with pytest.raises(PhotoDamaged, match="Make the archive anew"):
            read_member(archive, "a.jpg", 10_000)
