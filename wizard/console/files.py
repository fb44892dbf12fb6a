"""Writes the files that a person asked for: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from wizard.errors import BadInput, Failed
from wizard.text import one_line


def write(path: Path, text: str, *, overwrite: bool, mode: int) -> None:
    """Write the file with these permissions, by way of a temporary file beside it. Raises BadInput where it exists and
    may not be overwritten, Failed where the disk refuses.
    """
    name = one_line(path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
    except OSError as error:
        raise BadInput(f"{name} cannot be written: {error.strerror}", "Give another place.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, path)  # noqa: PTH105 - the pair of calls reads better in one style
        else:
            os.link(temporary, path)  # unlike a look beforehand, this cannot be raced
    except FileExistsError as error:
        raise BadInput(f"{name} exists, and is left as it is", "Give another name, or --force.") from error
    except OSError as error:
        raise Failed(f"{name} cannot be written: {error.strerror}", "Give another place.") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
