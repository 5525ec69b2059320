# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each release of GitLab knows, and in which its KAS is broken: the one place where a release is written down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Release(NamedTuple):
    """A release of GitLab; releases compare as their numbers do."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return ".".join(map(str, self))

    @classmethod
    def of(cls, text: object) -> Release | None:
        """The release in a version such as 18.6.1, 18.6.1-ee.0 or 18.6.1+stable; None if there is none."""
        match = re.match(r"(\d+)\.(\d+)\.(\d+)", text) if isinstance(text, str) else None
        return cls(*map(int, match.groups())) if match else None

    @property
    def next_patch(self) -> Release:
        return self._replace(patch=self.patch + 1)


@dataclass(frozen=True)
class Releases:
    """The releases from one on and up to another; None is no end."""

    since: Release | None = None
    before: Release | None = None
    or_unknown: bool = False  # also a node whose release could not be found out

    def __contains__(self, release: object) -> bool:
        if not isinstance(release, Release):
            return self.or_unknown
        return (self.since is None or release >= self.since) and (self.before is None or release < self.before)


ANY = Releases(or_unknown=True)


class Known(NamedTuple):
    """From which release on, and up to which, the package knows something, and what it is by default.

    since is None for what was known before the table begins; before is None for what is known to this day.
    """

    since: Release | None
    before: Release | None
    defaults: Mapping[Release, str]  # as Ruby writes them, each from its release on

    def not_yet(self, release: Release | None) -> bool:
        """Whether a release is too old for it; of a release that is not known, nothing is."""
        return release is not None and self.since is not None and release < self.since

    def no_longer(self, release: Release | None) -> bool:
        """Whether a release knows it no more."""
        return release is not None and self.before is not None and release >= self.before

    def known_to(self, release: Release | None) -> bool:
        """Whether a release, which must be known itself, has it."""
        return release is not None and not (self.not_yet(release) or self.no_longer(release))

    def default(self, release: Release) -> str:
        """What it is by default in a release, as Ruby writes it; '' if the table does not tell."""
        return next((self.defaults[since] for since in sorted(self.defaults, reverse=True) if since <= release), "")

    def changes(self) -> Iterator[tuple[Release, str, str]]:
        """Each release in which the default changed, with the one before and the new one."""
        releases = sorted(self.defaults)
        for older, newer in zip(releases, releases[1:]):
            yield newer, self.defaults[older], self.defaults[newer]


def _table(rows: Mapping[str, tuple[str, str, Mapping[str, str]]]) -> dict[str, Known]:
    return {
        name: Known(Release.of(since), Release.of(before), {_release(text): value for text, value in defaults.items()})
        for name, (since, before, defaults) in rows.items()
    }


def _release(text: str) -> Release:
    return Release(*map(int, text.split(".")))


# The keys of gitlab_kas, and the environment that the package gives KAS by default: known from, gone from, defaults.
# -- made by scripts/releases.py --
FIRST, LAST = Release(15, 11, 0), Release(19, 3, 0)

KEYS = _table(
    {
        "agent_configuration_poll_period": ("", "", {"15.11.0": "20", "16.3.0": "300"}),
        "agent_gitops_poll_period": ("", "18.0.1", {"15.11.0": "20", "16.3.0": "300"}),
        "agent_gitops_project_info_cache_error_ttl": ("", "18.0.1", {"15.11.0": "60"}),
        "agent_gitops_project_info_cache_ttl": ("", "18.0.1", {"15.11.0": "300"}),
        "agent_info_cache_error_ttl": ("", "", {"15.11.0": "60"}),
        "agent_info_cache_ttl": ("", "", {"15.11.0": "300"}),
        "api_secret_key": ("", "", {"15.11.0": "nil"}),
        "certificate_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "dir": ("", "", {"15.11.0": "'/var/opt/gitlab/gitlab-kas'"}),
        "enable": ("", "", {"15.11.0": "false"}),
        "env": ("", "", {}),
        "env_directory": ("", "", {"15.11.0": "'/opt/gitlab/etc/gitlab-kas/env'"}),
        "extra_config_command": ("16.8.0", "", {"16.8.0": "nil"}),
        "gitlab_address": ("", "", {"15.11.0": "''"}),
        "gitlab_external_url": ("", "", {"15.11.0": "nil"}),
        "grpc_log_level": ("16.11.0", "", {"16.11.0": "'error'"}),
        "internal_api_certificate_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "internal_api_key_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "internal_api_listen_address": ("", "", {"15.11.0": "'localhost:8153'"}),
        "internal_api_listen_network": ("", "", {"15.11.0": "'tcp'"}),
        "key_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "kubernetes_api_certificate_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "kubernetes_api_key_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "kubernetes_api_listen_address": ("", "", {"15.11.0": "'localhost:8154'"}),
        "listen_address": ("", "", {"15.11.0": "'localhost:8150'"}),
        "listen_network": ("", "", {"15.11.0": "'tcp'"}),
        "listen_websocket": ("", "", {"15.11.0": "true"}),
        "log_directory": ("", "", {"15.11.0": "'/var/log/gitlab/gitlab-kas'"}),
        "log_group": ("16.0.0", "", {}),
        "log_level": ("", "", {"15.11.0": "'info'"}),
        "metrics_usage_reporting_period": ("", "", {"15.11.0": "60"}),
        "nginx": ("19.2.0", "", {"19.2.0": "OmnibusGitlab::NginxHelper.new(node).default_values.dup"}),
        "observability_listen_address": ("", "", {"15.11.0": "'localhost:8151'"}),
        "observability_listen_network": ("", "", {"15.11.0": "'tcp'"}),
        "private_api_certificate_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "private_api_key_file": ("14.8.0", "", {"15.11.0": "nil"}),
        "private_api_listen_address": ("", "", {"15.11.0": "'localhost:8155'"}),
        "private_api_listen_network": ("", "", {"15.11.0": "'tcp'"}),
        "private_api_secret_key": ("", "", {"15.11.0": "nil"}),
        "redis_host": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_password": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_port": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_sentinels": ("16.6.0", "", {"16.6.0": "nil", "16.8.0": "[]"}),
        "redis_sentinels_master_name": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_sentinels_password": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_sentinels_ssl": ("18.8.0", "", {"18.8.0": "nil"}),
        "redis_sentinels_tls_ca_cert_file": ("18.8.0", "", {"18.8.0": "nil"}),
        "redis_sentinels_tls_client_cert_file": ("18.8.0", "", {"18.8.0": "nil"}),
        "redis_sentinels_tls_client_key_file": ("18.8.0", "", {"18.8.0": "nil"}),
        "redis_socket": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_ssl": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_tls_ca_cert_file": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_tls_client_cert_file": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_tls_client_key_file": ("16.6.0", "", {"16.6.0": "nil"}),
        "redis_username": ("19.3.0", "", {"19.3.0": "nil"}),
        "sentry_dsn": ("", "", {"15.11.0": "nil"}),
        "sentry_environment": ("", "", {"15.11.0": "nil"}),
        "svlogd_filter": ("", "", {}),
        "svlogd_num": ("", "", {}),
        "svlogd_prefix": ("", "", {}),
        "svlogd_size": ("", "", {}),
        "svlogd_timeout": ("", "", {}),
        "svlogd_udp": ("", "", {}),
        "udp_log_shipping_host": ("", "", {}),
        "udp_log_shipping_hostname": ("", "", {}),
        "udp_log_shipping_port": ("", "", {}),
        "websocket_token_secret_key": ("17.7.0", "", {"17.7.0": "nil"}),
        "workspaces": ("18.4.0", "", {}),
    }
)

ENVIRONMENT = _table(
    {
        "GODEBUG": ("18.2.0", "", {"18.2.0": '"tlsmlkem=0"'}),
        "OWN_PRIVATE_API_URL": ("", "17.9.0", {"15.11.0": "'grpc://localhost:8155'"}),
        "SSL_CERT_DIR": ("", "", {"15.11.0": "\"#{node['package']['install-dir']}/embedded/ssl/certs/\""}),
    }
)
# -- up to here --

# What KAS itself can do (administration/clusters/kas, and its releases' notes).
CIDR_SINCE = Release(16, 5, 0)
SEVERAL_URLS_SINCE = Release(17, 8, 1)
ALLOWLIST_SINCE = Release(18, 3, 0)
# TLS between KAS nodes: GitLab's documentation begins here, but KAS 16.5 was seen to do it.
TLS_DOCUMENTED_SINCE = Release(16, 11, 0)
# KAS ends on a configuration that holds agent.gitops, be it the package's or what a command prints.
NO_GITOPS_SINCE = Release(18, 0, 0)

# What the package does around KAS.
NO_GIT_DATA_DIRS_SINCE = Release(18, 0, 0)  # package/libraries/deprecations.rb: they end reconfigure
NGINX_TLS_SINCE = Release(18, 7, 0)  # nginx speaks TLS to KAS if its listener for agents has a certificate
# Announced in merge requests; nobody has seen it released.
GRPCS_SINCE = Release(19, 5, 0)  # agents' URL is grpcs://HOST by default, and may be so on a name of its own


class Broken(NamedTuple):
    """What is wrong with the KAS of a release, behind 'KAS of GitLab X'; and the own URL that it starts with."""

    effect: str
    starts_with: str  # 'any', 'url': an explicit one, 'address': an explicit one without a name, or 'none'


_DEFAULTS_FAIL = "does not start with the package's defaults"
_UNIMPLEMENTED = "answers calls of GitLab with GRPC::Unimplemented"
BROKEN = {
    Release(16, 9, 6): Broken(_UNIMPLEMENTED, "any"),
    Release(16, 10, 4): Broken(_UNIMPLEMENTED, "any"),
    Release(16, 11, 1): Broken(_UNIMPLEMENTED, "any"),
    # Its default environment names localhost, which it takes for an address; the upgrade notes put 127.0.0.1 there.
    Release(17, 8, 0): Broken(_DEFAULTS_FAIL, "address"),
    Release(17, 9, 0): Broken(_DEFAULTS_FAIL, "url"),
    Release(18, 0, 0): Broken("does not start, since the package itself gives it agent.gitops", "none"),
}


def _broken(*starts_with: str) -> frozenset[Release | None]:
    """The broken releases that start with just this."""
    return frozenset(release for release, each in BROKEN.items() if each.starts_with in starts_with)


FAILS_CALLS = _broken("any")  # it starts
NEVER_STARTS = _broken("none")
WANTS_URL = _broken("url", "address")  # it starts only with an explicit own URL
WANTS_ADDRESS = _broken("address")  # and in that only with an address
