# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of KAS in Kubernetes, as kubectl shows them on this host."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._diagnosis import Log, LogError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line

_BLOCK = 1 << 20  # bytes


@contextmanager
def kubectl_logs(params: Mapping[str, Any], previous: bool) -> Iterator[Log]:
    """What pods say, or have said before they were started again. Raises LogError."""
    command = [
        *("kubectl", "logs", f"--namespace={params['namespace']}", f"--selector={params['selector']}"),
        *("--all-containers", "--prefix", "--timestamps", "--tail=-1", "--max-log-requests=100"),
        *([f"--since={params['hours']}h"] if params["hours"] else []),
        *(["--previous", "--ignore-errors"] if previous else []),
    ]
    kubectl = f"kubectl logs --namespace={params['namespace']}"
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        except OSError as error:
            raise LogError(
                f"kubectl cannot be run on this host ({error.strerror}); install it there, or hand in its output as a"
                " file."
            ) from error
        with process:
            pipe: Any = process.stdout
            first = pipe.read1(_BLOCK)
            yield Log(kubectl, _blocks(first, pipe))
            pipe.close()  # it may not have been read to its end
            status = process.wait()
        said.seek(0)
        words = mask_line(" ".join(said.read(2000).decode(errors="replace").split()))
    if previous:
        return  # most containers have never ended, which kubectl counts as an error
    if status:
        raise LogError(
            f"{kubectl} fails ({words or f'exit code {status}'}); check the namespace, and how kubectl connects."
        )
    if not first:
        raise LogError(
            f"{kubectl} shows nothing of pods with {params['selector']} ({words or 'no line'}); check the namespace."
        )


def _blocks(first: bytes, pipe: Any) -> Iterator[bytes]:
    block = first
    while block:
        yield block
        block = pipe.read1(_BLOCK)
