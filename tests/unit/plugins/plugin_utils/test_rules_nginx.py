# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the package's nginx, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import nginx
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    URL,
    alone,
    check,
    rows,
)

WSS = "wss://kas.gitlab.example.com/"
SSL = "/etc/gitlab/ssl"
GITLAB = (f"{SSL}/gitlab.example.com.crt", f"{SSL}/gitlab.example.com.key")
KAS = (f"{SSL}/kas.gitlab.example.com.crt", f"{SSL}/kas.gitlab.example.com.key")
FQDN = [f"{SSL}/gitlab-1.example.com.crt", f"{SSL}/gitlab-1.example.com.key"]
OFF = {"letsencrypt": {"enable": False}}
DOWN = "so it would not start, and GitLab would be down"
STANDALONE = {
    "in": "k",
    "kas_standalone": True,
    "kas_redis": {"host": "redis"},
    "kas_gitlab_address": URL,
    "kas_external_url": "wss://kas.gitlab.example.com/-/kubernetes-agent/",
}


def node(
    settings,
    files=GITLAB,
    *,
    unusable=(),
    certificates=(),
    encrypted=(),
    unreadable=None,
    version="18.6.1",
    letsencrypt=False,
    **row,
):
    """A node with both groups; settings are those of its gitlab.rb beside external_url, files those that are there.

    Each certificate belongs to the key of its name, and is for that name, if certificates do not say otherwise.
    """
    right = {
        path: {
            "keys": [path.replace(".crt", ".key")],
            "names": [f"DNS:{path.removesuffix('.crt').rpartition('/')[2]}"],
            "not_before": 0,
            "not_after": 2000,
        }
        for path in files
        if path.endswith(".crt") and path.replace(".crt", ".key") in files and path not in dict(unusable)
    }
    info = {
        "time": 1000.0,
        "gitlab_version": version,
        "settings": {"external_url": URL, **settings},
        "unreadable": unreadable or {},
        "nginx": {
            "files": files,
            "unusable": dict(unusable),
            "certificates": {**right, **{path: {**right.get(path, {}), **known} for path, known in certificates}},
            "encrypted": dict(encrypted),
            "fqdn": "gitlab-1.example.com",
            "letsencrypt": letsencrypt,
        },
    }
    return {"kas_external_url": WSS, "info": info, **row}


def refusal(missing=KAS, section="gitlab_kas_nginx", *, cause=f"kas_external_url is '{WSS}'", ways=None):
    """The sentence about files that are not there."""
    put = "put it there" if len(missing) == 1 else "put them there"
    port = "listen_port" if section == "nginx" else "port"
    proxy = f"behind a proxy that speaks TLS set {section}['listen_https'] = false and {section}['{port}'] = 80"
    is_asked_for = any(file.endswith(".crt") for file in missing)
    remedy = ways or (f"set letsencrypt['enable'] = true, or {proxy}" if is_asked_for else proxy)
    are = "is" if len(missing) == 1 else "are"
    return (
        f"kas1: {cause}, for which nginx needs {' and '.join(missing)}, which {are} not there, {DOWN}; {put}, set"
        f" {section}['ssl_certificate'] and {section}['ssl_certificate_key'] in gitlab.rb"
        f"{', ' if remedy.startswith('set letsencrypt') else ', or '}{remedy}."
    )


OWN_GITLAB = refusal(GITLAB, "nginx", cause=f"external_url in gitlab.rb is '{URL}'")
NEW = "gitlab_kas['nginx']"
BY_SETTING = "set gitlab_kas_nginx['listen_https'] to false"


COMPUTED = " is computed and cannot be read without running it"


def perhaps(what, missing=KAS, cause=f"kas_external_url is '{WSS}'"):
    are = "is" if len(missing) == 1 else "are"
    return (
        f"kas1: {cause}, for which nginx needs {' and '.join(missing)}, which {are} not there, and without which it"
        f" does not start; {what}, so it may need none."
    )


ASKS = (
    "kas1: kas_external_url is 'wss://kas.gitlab.example.com/', for which there is no certificate, so reconfigure asks"
    " Let's Encrypt for one for gitlab.example.com and kas.gitlab.example.com, and fails where Let's Encrypt does not"
    " reach this node; else put a certificate and its key into /etc/gitlab/ssl, as kas.gitlab.example.com.crt and"
    " kas.gitlab.example.com.key."
)


MIXED = (
    f"kas1: kas_external_url is '{WSS}', for which nginx speaks TLS on port 443, but on that port it is to speak none"
    " for GitLab (nginx['listen_https']), so it would not start, and GitLab would be down; set nginx['listen_port'] ="
    " 80, or gitlab_kas_nginx['port'] to another port."
)

NO_HOST = (
    "{0} is ':{1}', but the package's nginx, which passes users on to it, takes no address without a host and would not"
    " start, so GitLab would be down; set '0.0.0.0:{1}', or a name or address and the port"
)


PROXY = "behind a proxy that speaks TLS set gitlab_kas_nginx['listen_https'] = false and gitlab_kas_nginx['port'] = 80"


def fault(said, remedy, effect=DOWN):
    """The sentence about a key that is there."""
    return (
        f"kas1: kas_external_url is '{WSS}', for which nginx needs {said}, {effect}; {remedy}, set"
        f" gitlab_kas_nginx['ssl_certificate'] and gitlab_kas_nginx['ssl_certificate_key'] in gitlab.rb, or {PROXY}."
    )


SHOWN = "which nginx shows for it, {}, so agents and other clients refuse it, unless {}; have it issued with {}"
NAMELESS = "is for no name at all (subjectAltName)"
ELSE = "a proxy before nginx shows them another one"
DATED = (
    f"kas1: {KAS[0]}, which nginx shows for kas.gitlab.example.com, {{}}, so agents and other clients refuse it, unless"
    f" {ELSE}; {{}}."
)


def of(*table):
    """Rows of one node: what is special about it, and the sentences."""
    return [({"kas1": row}, {}, expected) for row, expected in table]


TABLES = {
    nginx.certificates: [
        # outside of the play
        ({"kas1": node(OFF, in_play=False), "kas2": {"kas_external_url": WSS}}, CIDR, []),
        *of(
            # on a host name of its own, without a certificate for it
            (node(OFF), [refusal()]),
            (node(OFF, [*GITLAB, *KAS]), []),
            (node(OFF, [*GITLAB, KAS[0]]), [refusal(KAS[1:])]),
            (node(OFF, [*GITLAB, KAS[1]]), [refusal(KAS[:1])]),
            # they are there, but no use
            *(
                (
                    node(OFF, [*GITLAB, *files], unusable=unusable),
                    [
                        refusal(missing, ways=PROXY).replace(
                            f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not there", said
                        )
                    ],
                )
                for files, unusable, missing, said in (
                    (KAS, {KAS[1]: "is empty"}, KAS[1:], f"{KAS[1]}, which is empty"),
                    (
                        KAS[:1],
                        {KAS[0]: "holds nothing in PEM form"},
                        KAS,
                        f"{KAS[0]}, which holds nothing in PEM form, and {KAS[1]}, which is not there",
                    ),
                )
            ),
            (node(OFF, [*GITLAB, *KAS, "/srv/other.crt"], unusable={"/srv/other.crt": "is empty"}), []),
            # they do not belong together
            *(
                (node(OFF, [*GITLAB, *KAS], certificates={KAS[0]: {"keys": keys}}.items()), expected)
                for keys, expected in (
                    ([KAS[1]], []),
                    (
                        [GITLAB[1]],
                        [
                            fault(
                                f"{KAS[1]}, which does not belong to {KAS[0]}",
                                f"put the key of the first certificate in {KAS[0]} there",
                                "so it would not start, or let nobody in, and GitLab would be down",
                            )
                        ],
                    ),
                )
            ),
            # the key has a passphrase
            *(
                (
                    node(
                        {**OFF, "gitlab_kas_nginx": {"ssl_password_file": passphrases} if passphrases else {}},
                        [*GITLAB, *KAS, "/srv/pass"],
                        encrypted={KAS[1]: ["/srv/pass"]},
                        certificates={KAS[0]: {"keys": [KAS[1]] if passphrases == "/srv/pass" else []}}.items(),
                    ),
                    expected,
                )
                for passphrases, expected in (
                    ("/srv/pass", []),
                    (
                        "",
                        [
                            fault(
                                f"{KAS[1]}, which is encrypted",
                                "decrypt it, for example with openssl pkey, set gitlab_kas_nginx['ssl_password_file']"
                                " to a file with its passphrase",
                            )
                        ],
                    ),
                    (
                        GITLAB[1],
                        [
                            fault(
                                f"{KAS[1]}, which is encrypted, and {GITLAB[1]} has no passphrase that opens it",
                                f"put its passphrase into {GITLAB[1]}",
                            )
                        ],
                    ),
                )
            ),
            # other files that a virtual host names; authorities count where clients are verified
            *(
                (
                    node({**OFF, "gitlab_kas_nginx": settings}, [*GITLAB, *KAS, *files], unusable=unusable),
                    [
                        f"kas1: kas_external_url is '{WSS}', for which nginx needs /srv/file, which {said}, {DOWN}; put"
                        f" it there, correct gitlab_kas_nginx['{setting}'], or {PROXY}."
                    ]
                    if said
                    else [],
                )
                for setting, settings, files, unusable, said in (
                    ("", {"ssl_dhparam": "/srv/file"}, ["/srv/file"], {}, ""),
                    ("ssl_dhparam", {"ssl_dhparam": "/srv/file"}, [], {}, "is not there"),
                    ("ssl_dhparam", {"ssl_dhparam": "/srv/file"}, ["/srv/file"], {"/srv/file": "is x"}, "is x"),
                    ("ssl_password_file", {"ssl_password_file": "/srv/file"}, [], {}, "is not there"),
                    ("", {"ssl_client_certificate": "/srv/file"}, [], {}, ""),
                    ("", {"ssl_client_certificate": "/srv/file", "ssl_verify_client": "off"}, [], {}, ""),
                    (
                        "ssl_client_certificate",
                        {"ssl_client_certificate": "/srv/file", "ssl_verify_client": "on"},
                        [],
                        {},
                        "is not there",
                    ),
                )
            ),
            (
                node(
                    {**OFF, "nginx": {"ssl_dhparam": "/srv/dh"}},
                    [*GITLAB, *KAS],
                ),
                [
                    f"kas1: external_url in gitlab.rb is '{URL}', for which nginx needs /srv/dh, which is not there,"
                    f" {DOWN}; put it there, correct nginx['ssl_dhparam'], or behind a proxy that speaks TLS set"
                    " nginx['listen_https'] = false and nginx['listen_port'] = 80."
                ],
            ),
            # what is a file only to nginx, or none
            *(
                (
                    node({**OFF, "gitlab_kas_nginx": {"ssl_certificate": name, "ssl_certificate_key": name}}),
                    [],
                )
                for name in ("$ssl_server_name.crt", "ssl/kas.crt", "data:$kas")
            ),
            # our own are put there, whatever lies there now
            (
                node(
                    OFF,
                    [*GITLAB, *KAS],
                    certificates={KAS[0]: {"keys": []}}.items(),
                    version="19.3.0",
                    kas_certificate=KAS[0],
                    kas_key=KAS[1],
                    kas_certificate_src="kas.crt",
                    kas_key_src="kas.key",
                ),
                [],
            ),
            (node(OFF, version="19.3.0"), [refusal(section=NEW)]),
            # GitLab's certificate was put there by hand, so Let's Encrypt stays off
            (node({}), [refusal()]),
            # gitlab.rb says it, not a variable
            (
                node({**OFF, "gitlab_kas_external_url": WSS}, kas_external_url=""),
                [refusal(cause=f"gitlab_kas_external_url in gitlab.rb is '{WSS}'")],
            ),
            # on GitLab's own host, also written otherwise, or without TLS
            *(
                (node(OFF, kas_external_url=url), [])
                for url in (
                    "",
                    "wss://gitlab.example.com/-/kubernetes-agent/",
                    "wss://gitlab.example.com:443/-/kubernetes-agent/",
                    "ws://kas.gitlab.example.com/",
                )
            ),
            # a name is compared and used as it is written
            (
                node(OFF, kas_external_url="wss://KAS.gitlab.example.com:8443/"),
                [
                    refusal(
                        [f"{SSL}/KAS.gitlab.example.com.crt", f"{SSL}/KAS.gitlab.example.com.key"],
                        cause="kas_external_url is 'wss://KAS.gitlab.example.com:8443/'",
                    )
                ],
            ),
            # gitlab.rb says where the certificate is
            *(
                (
                    node(
                        {
                            **OFF,
                            "gitlab_kas_nginx": {
                                "ssl_certificate": "/srv/kas.crt",
                                "ssl_certificate_key": "/srv/kas.key",
                            },
                        },
                        [*GITLAB, *files],
                    ),
                    [refusal(missing)] if missing else [],
                )
                for files, missing in (
                    (["/srv/kas.crt", "/srv/kas.key"], []),
                    (["/srv/kas.crt"], ["/srv/kas.key"]),
                    (KAS, ["/srv/kas.crt", "/srv/kas.key"]),
                )
            ),
            (node({**OFF, "gitlab_kas_nginx": {"ssl_certificate": GITLAB[0]}}), [refusal(KAS[1:])]),
            # of the two sections the new one goes first, from the release on that knows it
            *(
                (
                    node(
                        {
                            **OFF,
                            "gitlab_kas_nginx": {"listen_https": True},
                            "gitlab_kas": {"nginx": {"listen_https": False}},
                        },
                        version=release,
                    ),
                    expected,
                )
                for release, expected in (("19.1.9", [refusal()]), ("19.2.0", []))
            ),
            *(
                (
                    node(OFF, version=release, kas_settings={"nginx": {"listen_https": False, "port": 80}}),
                    expected,
                )
                for release, expected in (("19.2.0", []),)
            ),
            # our own certificate comes to where nginx looks for it
            (
                node(
                    OFF,
                    version="19.3.0",
                    kas_certificate=KAS[0],
                    kas_key=KAS[1],
                    kas_certificate_src="kas.crt",
                    kas_key_src="kas.key",
                ),
                [],
            ),
            # a proxy before it speaks TLS
            (node({**OFF, "gitlab_kas_nginx": {"listen_https": False, "port": 80}}), []),
            # that of GitLab does not count for KAS
            (node({**OFF, "nginx": {"listen_https": False, "listen_port": 80}}, []), [refusal()]),
            # https = false and enable = false are overwritten by the package
            (node({**OFF, "gitlab_kas_nginx": {"https": False, "enable": False}}), [refusal()]),
            # without TLS in the URL, but in the settings
            *(
                (
                    node({**OFF, "gitlab_kas_nginx": {key: True}}, kas_external_url="ws://kas.gitlab.example.com/"),
                    [
                        refusal(
                            FQDN,
                            cause="kas_external_url is 'ws://kas.gitlab.example.com/'",
                            ways=f"set gitlab_kas_nginx['{key}'] to false",
                        )
                    ],
                )
                for key in ("https", "listen_https")
            ),
            (
                node(
                    {**OFF, "gitlab_kas_nginx": {"https": True}},
                    [*GITLAB, *FQDN],
                    kas_external_url="ws://kas.gitlab.example.com/",
                ),
                [],
            ),
            # nginx is off, or not the package's
            *(
                (node({**OFF, **settings}, []), [])
                for settings in (
                    {"nginx": {"enable": False}},
                    {"roles": ["redis_master_role"]},
                    {"roles": "sidekiq_role"},
                    {"gitaly_role": {"enable": True}},
                    {"roles": ["monitoring_role"], "pages_role": {"enable": False}},
                )
            ),
            # nginx is on
            *(
                (node({**OFF, **settings}), [refusal()])
                for settings in (
                    {"nginx": {"enable": True}, "roles": ["redis_master_role"]},
                    {"roles": ["application-role"]},
                    {"roles": ["pages_role"]},
                    {"roles": ["geo_primary_role"]},
                    {"application_role": {"enable": True}},
                )
            ),
            # the package makes no virtual host for a KAS of which Rails is told by hand
            (node({**OFF, "gitlab_rails": {"gitlab_kas_external_url": "wss://lb.example.com/"}}), []),
            # Let's Encrypt: asked for, kept on, on by itself, or not
            (node({"letsencrypt": {"enable": True}}), []),
            (node({}, letsencrypt=True), []),
            (node({}, []), []),
            (node({"package": {"generate_secrets_json_file": False}}, []), [OWN_GITLAB, refusal()]),
            (node({"nginx": {"listen_https": False, "listen_port": 80}}, []), [refusal()]),
            # GitLab's certificate is elsewhere, but that of KAS would be looked for where it is by default
            (
                node(
                    {
                        "letsencrypt": {"enable": True},
                        "nginx": {"ssl_certificate": "/srv/gitlab.crt", "ssl_certificate_key": "/srv/gitlab.key"},
                    },
                    [],
                ),
                [refusal(GITLAB)],
            ),
            # GitLab's own certificate
            (node(OFF, []), [OWN_GITLAB, refusal()]),
            (node(OFF, [], kas_external_url=""), [OWN_GITLAB]),
            (node({**OFF, "gitlab_rails": {"enable": False}}, [], kas_external_url=""), []),
            (
                node(
                    {**OFF, "gitlab_rails": {"nginx": {"ssl_certificate": "/srv/gitlab.crt"}}},
                    version="19.3.0",
                    kas_external_url="",
                ),
                [refusal(["/srv/gitlab.crt"], "nginx", cause=f"external_url in gitlab.rb is '{URL}'")],
            ),
            (
                node(
                    {"external_url": "http://gitlab.example.com", "nginx": {"listen_https": True}},
                    kas_external_url="",
                ),
                [
                    refusal(
                        FQDN,
                        "nginx",
                        cause="external_url in gitlab.rb is 'http://gitlab.example.com'",
                        ways="set nginx['listen_https'] to false",
                    )
                ],
            ),
            (node({"external_url": "http://gitlab.example.com"}, [], kas_external_url=""), []),
            # a node with nothing but KAS gets a URL from the plan
            (
                node({**OFF, "external_url": None}, [], **STANDALONE),
                [refusal(KAS, "nginx", cause="external_url becomes 'https://kas.gitlab.example.com'")],
            ),
            (node({**OFF, "external_url": None, "nginx": {"enable": False}}, KAS, **STANDALONE), []),
            # nothing is known of its files
            ({"kas_external_url": WSS, "info": {"settings": {"external_url": URL, **OFF}}}, []),
        ),
    ],
    nginx.tls_beside_plain: of(
        *(
            (
                node({**OFF, **settings}, [*GITLAB, *KAS], unreadable=unreadable),
                [MIXED] if is_refused else [],
            )
            for settings, unreadable, is_refused in (
                ({"nginx": {"listen_https": False}}, {}, True),
                ({"nginx": {"listen_https": False, "listen_port": "443"}}, {}, True),
                ({"nginx": {"listen_https": False, "listen_port": 80}}, {}, False),
                ({"nginx": {"listen_https": False}, "gitlab_kas_nginx": {"port": 8443}}, {}, False),
                ({"nginx": {"listen_https": False}, "gitlab_kas_nginx": {"listen_https": False}}, {}, False),
                ({"nginx": {"listen_https": False}, "gitlab_rails": {"enable": False}}, {}, False),
                ({"nginx": {"listen_https": False}}, {"nginx['listen_port']": "line 3"}, False),
                ({}, {}, False),
                ({"external_url": "http://gitlab.example.com"}, {}, False),
            )
        ),
    ),
    nginx.plain_beside_tls: of(
        *(
            (
                node({**OFF, "gitlab_kas_nginx": of_kas, **settings}, **more),
                [
                    f"kas1: kas_external_url is '{more.get('kas_external_url', WSS)}', for which nginx is to speak no"
                    " TLS (gitlab_kas_nginx['listen_https']), but on port 443 it does so for GitLab, and then for KAS,"
                    " too, and answers a proxy that speaks none with error 400; set gitlab_kas_nginx['port'] to the"
                    " port that the proxy connects to, such as 80."
                ]
                if is_said
                else [],
            )
            for of_kas, settings, more, is_said in (
                ({"listen_https": False}, {}, {}, True),
                ({"listen_https": False, "port": 80}, {}, {}, False),
                ({"listen_https": False, "port": "443"}, {}, {}, True),
                ({"listen_https": False}, {"nginx": {"listen_port": 8443}}, {}, False),
                ({"listen_https": False}, {"external_url": "http://gitlab.example.com"}, {}, False),
                ({"listen_https": False}, {"nginx": {"enable": False}}, {}, False),
                ({}, {}, {"kas_external_url": "ws://kas.gitlab.example.com/"}, False),
                ({"listen_https": False}, {}, {"unreadable": {"gitlab_kas_nginx['port']": "line 3"}}, False),
            )
        ),
    ),
    nginx.clients: [
        ({"kas1": node(OFF, KAS, certificates={KAS[0]: {"names": []}}.items(), in_play=False), "kas2": {}}, CIDR, []),
        *of(
            *(
                (
                    node({**OFF, **settings}, [*GITLAB, *KAS], certificates={KAS[0]: known}.items(), **more),
                    expected,
                )
                for settings, known, more, expected in (
                    ({}, {}, {}, []),
                    ({}, {"names": ["DNS:x.example.com", "DNS:*.gitlab.example.com"]}, {}, []),
                    (
                        {},
                        {"names": ["DNS:*.example.com", "IP:10.0.0.1"]},
                        {},
                        [
                            f"kas1: kas_external_url is '{WSS}', but {KAS[0]},"
                            f" {SHOWN.format('is for *.example.com, 10.0.0.1', ELSE, 'kas.gitlab.example.com')}."
                        ],
                    ),
                    (
                        {},
                        {"names": []},
                        {},
                        [
                            f"kas1: kas_external_url is '{WSS}', but {KAS[0]},"
                            f" {SHOWN.format(NAMELESS, ELSE, 'kas.gitlab.example.com')}."
                        ],
                    ),
                    ({}, {"not_after": 999}, {}, [DATED.format("has expired at 1970-01-01T00:16:39Z", "renew it")]),
                    (
                        {},
                        {"not_before": 1001},
                        {},
                        [
                            DATED.format(
                                "is not valid before 1970-01-01T00:16:41Z",
                                "set the clock of the node right, or renew it",
                            )
                        ],
                    ),
                    # Let's Encrypt sees to it, or nobody is shown it
                    ({"letsencrypt": {"enable": True}}, {"not_after": 999}, {}, []),
                    ({"nginx": {"enable": False}}, {"not_after": 999}, {}, []),
                    ({"gitlab_kas_nginx": {"listen_https": False, "port": 80}}, {"not_after": 999}, {}, []),
                    # only a proxy is shown it, and what it makes of the name is its business
                    (
                        {"gitlab_kas_nginx": {"https": True, "ssl_certificate": KAS[0], "ssl_certificate_key": KAS[1]}},
                        {"names": []},
                        {"kas_external_url": "ws://kas.gitlab.example.com/"},
                        [],
                    ),
                )
            ),
            (
                node(OFF, certificates={GITLAB[0]: {"names": ["DNS:localhost"]}}.items(), kas_external_url=""),
                [
                    f"kas1: external_url in gitlab.rb is '{URL}', but {GITLAB[0]},"
                    f" {SHOWN.format('is for localhost', ELSE, 'gitlab.example.com')}."
                ],
            ),
        ),
    ],
    nginx.perhaps_certificates: of(
        (
            node(
                OFF,
                [*GITLAB, *KAS, "/srv/pass"],
                encrypted={KAS[1]: ["/srv/pass"]},
                certificates={KAS[0]: {"keys": []}}.items(),
                unreadable={"gitlab_kas_nginx['ssl_password_file']": "line 3"},
            ),
            [
                f"kas1: kas_external_url is '{WSS}', for which nginx needs {KAS[1]}, which is encrypted, and without"
                f" which it does not start; gitlab_kas_nginx['ssl_password_file'] (line 3){COMPUTED}, so it may need"
                " none."
            ],
        ),
        # what cannot be read is not taken for absent
        *(
            (node(settings, unreadable={name: "line 3"}, **more), [perhaps(f"{name} (line 3){COMPUTED}")])
            for name, settings, more in (
                ("nginx['enable']", OFF, {}),
                ("roles", OFF, {}),
                ("pages_role['enable']", OFF, {}),
                ("letsencrypt['enable']", {}, {}),
                ("gitlab_kas_nginx['listen_https']", OFF, {}),
            )
        ),
        (
            node(OFF, unreadable={"nginx": "line 3"}),
            [perhaps("nginx['enable'] may be set by line 3, which cannot be read without running it")],
        ),
        (
            node({}, [], unreadable={"nginx['ssl_certificate']": "line 3"}),
            [
                perhaps(
                    f"nginx['ssl_certificate'] (line 3){COMPUTED}", GITLAB[1:], f"external_url in gitlab.rb is '{URL}'"
                ),
                perhaps(f"nginx['ssl_certificate'] (line 3){COMPUTED}"),
            ],
        ),
        # where the certificate is cannot be known
        (node(OFF, unreadable={"*": "line 3"}), []),
        (node(OFF, unreadable={"gitlab_kas['nginx']": "line 3"}, version="19.3.0"), []),
        (node(OFF, [*GITLAB, KAS[1]], unreadable={"gitlab_kas_nginx['ssl_certificate']": "line 3"}), []),
        # which host agents connect to cannot be known
        (node(OFF, unreadable={"gitlab_kas_external_url": "line 3"}, kas_external_url=""), []),
    ),
    nginx.letsencrypt: of(
        # Let's Encrypt, said once
        (node({"letsencrypt": {"enable": True}}), [ASKS]),
        (node({"letsencrypt": {"enable": True}, "gitlab_kas_external_url": WSS}), []),
        (node({"letsencrypt": {"enable": True}}, [*GITLAB, *KAS]), []),
        (
            node({"external_url": None}, [], **STANDALONE),
            [
                "kas1: external_url becomes 'https://kas.gitlab.example.com', for which there is no certificate, so"
                " reconfigure asks Let's Encrypt for one for kas.gitlab.example.com, and fails where Let's Encrypt does"
                " not reach this node; else put a certificate and its key into /etc/gitlab/ssl, as"
                " kas.gitlab.example.com.crt and kas.gitlab.example.com.key."
            ],
        ),
    ),
    nginx.listeners: [
        alone(
            {name: f"{address}:{port}"},
            *([NO_HOST.format(name, port)] if is_refused else []),
            settings={"external_url": URL, **settings},
        )
        for name, port in (("kas_listen_address", 8150), ("kas_kubernetes_api_listen_address", 8154))
        for settings, address, is_refused in (
            ({}, "", True),
            ({}, "0.0.0.0", False),
            ({}, "kas1.internal", False),
            ({"nginx": {"enable": False}}, "", False),
            ({"gitlab_rails": {"enable": False}}, "", False),
            ({"roles": ["redis_master_role"]}, "", False),
            ({"roles": ["application_role"]}, "", True),
        )
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_nginx(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
