"""A zip file named by path, unpacked once into a folder of ours, where it is read as any other folder.

On a server that strangers reach they choose among the zip files that its folders offer, so unpacking has limits: of
files, of bytes of each and of all. Only images and tables are written, under the names that they have in the file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from ssrnet.data.images import IMAGE_SUFFIXES, MAX_BYTES
from ssrnet.data.uploads import UNPACKING
from ssrnet.errors import DataError, ResourceError

UNPACKED = Path("runs/unpacked")
"""Folder of the unpacked files, in the working folder; it can be deleted at any time."""
TABLES = frozenset({".csv", ".txt", ".xml"})
MOST_FILES = 100_000
MOST_BYTES = 8 * 2**30
BLOCK = 2**20


def unpack(path: Path) -> Path:
    """The folder with the content of the zip file, unpacked unless it has been since the file changed last.

    Where all lies in one folder of the zip file, it is that one. Raises :class:`DataError` for a file that cannot be
    unpacked, that holds no image, or that is over the limits.
    """
    status = path.stat()
    stamp = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    digest = hashlib.sha256(stamp.encode(errors="surrogateescape")).hexdigest()[:16]
    folder = UNPACKED / digest / path.stem
    if not folder.is_dir():
        _unpack(path, folder)
    content = list(folder.iterdir())
    return content[0] if len(content) == 1 and content[0].is_dir() else folder


def _unpack(path: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=UNPACKED))
    try:
        with zipfile.ZipFile(path) as archive:
            if not _write_members(path, archive, temporary):
                raise DataError(f"{path} holds no image; pack JPEG, PNG, WebP, BMP or TIFF images into it.")
        if not folder.is_dir():  # another process may have been faster
            os.replace(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise _damaged(path, error) from error
        raise ResourceError(
            f"{path} cannot be unpacked into {UNPACKED.resolve()} ({error.strerror}); free space, or unpack it elsewhere and "
            "open the folder."
        ) from error
    # zipfile raises of many kinds for a damaged file, an unknown compression or a password.
    except UNPACKING as error:
        raise _damaged(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be unpacked ({error}); make the zip file again, without a password.")


def _write_members(path: Path, archive: zipfile.ZipFile, folder: Path) -> int:
    """Writes images and tables; returns how many images. Reading stops at the limits, whatever sizes the file states."""
    images, left = 0, MOST_BYTES
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise DataError(
            f"{path} holds {len(members):,} files, over the limit of {MOST_FILES:,}; unpack it, and open the folder."
        )
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        suffix = name.suffix.lower()
        if member.is_dir() or suffix not in IMAGE_SUFFIXES | TABLES or _is_hidden(name):
            continue
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may ask for 4 GB at once
            raise NotImplementedError("a compression other than deflate")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with archive.open(member) as source, open(target, "wb") as file:
            while block := source.read(BLOCK):
                written += len(block)
                if written > min(left, MAX_BYTES):
                    raise DataError(
                        f"{path} unpacks to more than {MOST_BYTES // 2**30} GB, or {name} in it to more than "
                        f"{MAX_BYTES // 2**20} MB; unpack it, and open the folder."
                    )
                file.write(block)
        left -= written
        images += suffix in IMAGE_SUFFIXES
    return images


def _is_hidden(name: PurePosixPath) -> bool:
    """Whether the reader of folders would leave it out, or it leads out of the folder."""
    return name.is_absolute() or any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
