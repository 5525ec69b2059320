# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which name was meant."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest

KNOWN = (
    "gitlab_kas",
    "gitlab_rails",
    "kas_certificate",
    "kas_enabled",
    "kas_env",
    "kas_external_url",
    "kas_key",
    "kas_own_private_api_cidr",
    "kas_redis",
    "kas_user",
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("kas_redsi", "kas_redis"),
        ("kas_rdis", "kas_redis"),
        ("kas_rediss", "kas_redis"),
        ("kas_enable", "kas_enabled"),
        ("kas_enalbe", "kas_enabled"),
        ("KAS_REDIS", "kas_redis"),
        ("kasredis", "kas_redis"),
        ("kas_externalUrl", "kas_external_url"),
        ("kas_external_uri", "kas_external_url"),
        ("kas_own_private_api_cdir", "kas_own_private_api_cidr"),
        ("kas_own_privat_api_cird", "kas_own_private_api_cidr"),
        ("kas_certificates", "kas_certificate"),
        ("gitlab-kas", "gitlab_kas"),
        ("GitLab KAS", "gitlab_kas"),
        ("gitlab_rail", "gitlab_rails"),
        ("kas_redis", None),
        ("kas_redis_host", None),
        ("kas_url", None),
        ("kas_keys", "kas_key"),
        ("kas_eny", "kas_env"),
        ("kas_backup_dir", None),
        ("gitlab_kas_eu", None),
        ("my_gitlab_kas", None),
        ("kas", None),
        ("", None),
    ],
)
def test_nearest(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant


def test_nothing_is_near_where_nothing_is_known() -> None:
    assert nearest("kas_redis", []) is None


@pytest.mark.parametrize("known", [("kas_redis", "kas_redit"), ("kas_redit", "kas_redis")])
def test_the_first_of_two_that_are_as_near(known: tuple[str, str]) -> None:
    assert nearest("kas_redix", known) == known[0]
