# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files on the controller that variables name, such as kas_certificate_src: where they are, and what they hold."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

# What a file holds, decrypted if Ansible Vault has encrypted it, else as it is. Raises VaultError.
Unvault = Callable[[bytes], bytes]

_BYTE_ORDER_MARK = "\ufeff"  # of editors on Windows; KAS does not find PEM behind it


class SourceError(Exception):
    """A file that cannot be used; the text is what follows the host's name in a sentence."""


class VaultError(Exception):
    """What cannot be decrypted; the text is why, in the words of Ansible Vault."""


def expanded(given: str) -> Path:
    """A path as people write it, with ~ for a home; that of a user who does not exist stays as it is."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        return Path(given)


def read(variable: str, given: str, folders: Sequence[Path], unvault: Unvault) -> str:
    """The text of the file that a variable names. A relative path is looked for in these folders, in this order.

    In each of them files/ comes first, as for Ansible's own copy. Raises SourceError.
    """
    place, data = _found(variable, given, folders)
    try:
        text = unvault(data).decode().removeprefix(_BYTE_ORDER_MARK)
    except VaultError as error:
        raise SourceError(
            f"{variable} is '{given}', but {place} is encrypted by Ansible Vault, and cannot be decrypted ({error});"
            " run with the password that belongs to it, as by --ask-vault-pass or --vault-password-file."
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{variable} is '{given}', but {place} is no text in UTF-8, and PEM is; convert it, as by openssl."
        ) from error
    if not text.strip():
        raise SourceError(f"{variable} is '{given}', but {place} is empty; put there what {variable} is for.")
    return text


def _found(variable: str, given: str, folders: Sequence[Path]) -> tuple[Path, bytes]:
    """The first regular file of that name that can be read, and what it holds."""
    path = expanded(given)
    folders = [] if path.is_absolute() else list(dict.fromkeys(at / part for at in folders for part in ("files", "")))
    unusable = []
    for place in [at / path for at in folders] or [path]:
        try:
            mode = place.stat().st_mode
            if stat.S_ISREG(mode):
                return place, place.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            unusable.append(f"{place} cannot be read ({error.strerror})")
        else:
            unusable.append(f"{place} is {'a directory' if stat.S_ISDIR(mode) else 'no regular file'}")
    if unusable:
        raise SourceError(
            f"{variable} is '{given}', but on the controller {', and '.join(unusable)}; name a file that the user who"
            " runs Ansible can read."
        )
    looked = f" in {', '.join(map(str, folders))}" if folders else ""
    remedy = "put it there, or set an absolute path" if folders else "correct the path"
    raise SourceError(f"{variable} is '{given}', but there is no such file on the controller{looked}; {remedy}.")
