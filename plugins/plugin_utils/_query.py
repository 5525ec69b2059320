# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries in JMESPath, the one thing for which the controller needs more than ansible-core."""

from __future__ import annotations

from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

jmespath: Any
try:
    import jmespath
except ImportError:
    jmespath = None


class QueryError(Exception):
    """A query that cannot be used; the text says which, why, and what to do."""


def search(name: str, query: str, data: Any) -> Any:
    """What the query yields of the data, None if it fails on them. Raises QueryError; name is that of the option."""
    if jmespath is None:
        raise QueryError(
            f"{name} is {shown(query)}, but the controller's Python has no jmespath; install it there (pip install"
            " jmespath), or leave the query out."
        )
    try:
        expression = jmespath.compile(query)
    except ValueError as error:  # every error of jmespath is one
        cause = str(error).splitlines()[0].rstrip(":")
        raise QueryError(f"{name} {shown(query)} is not a JMESPath expression ({cause}); correct it.") from error
    try:
        return expression.search(data)
    except ValueError:  # its text may hold all the data
        return None
