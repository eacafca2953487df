"""Directories that only one user can write to: what stands in them was written by this user, or by root."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from faultware.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path


def make_private(directory: Path) -> None:
    """Make a directory unless it is there, and check that only this user can write to it.

    Raises:
        OSError: It cannot be made.
        StoreError: It is not a directory of this user's, or others may write to it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StoreError(f"file:{directory}: must be a directory of this user that nobody else may write to")
