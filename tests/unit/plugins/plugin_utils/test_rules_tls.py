# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about certificates and keys, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import tls
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    TLS,
    alone,
    check,
    rows,
)

TABLES = {
    tls.pairs: [
        alone(
            {"kas_own_private_api_scheme": "grpcs"},
            "kas_own_private_api_scheme is 'grpcs', but kas_private_api_certificate is not set; set both, or grpc",
        ),
        alone(
            {"kas_own_private_api_url": "grpcs://kas1:8155"},
            "kas_own_private_api_url is 'grpcs://kas1:8155', but kas_private_api_certificate is not set; set both, or"
            " grpc",
        ),
        alone(
            {**TLS, "kas_own_private_api_scheme": "grpc"},
            "kas_own_private_api_scheme is 'grpc', but kas_private_api_certificate is '/etc/gitlab/kas.crt'; set"
            " grpcs, or leave TLS out",
        ),
        alone(
            {**TLS, "kas_own_private_api_host": ""},
            "kas_private_api_certificate is '/etc/gitlab/kas.crt', but kas_own_private_api_host is not set, without"
            " which KAS does not start; set the name that the certificates of all KAS nodes share",
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_tls(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
