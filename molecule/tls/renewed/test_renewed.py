"""After the renewal all nodes serve the same certificate."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://gitlab_kas"]


@pytest.mark.parametrize("port", [8153, 8155])
def test_serves_the_new_certificate(host, port):
    served = f"openssl s_client -connect localhost:{port} </dev/null 2>/dev/null | openssl x509 -noout -subject"
    assert host.check_output(served).replace(" ", "") == "subject=CN=renewed"


def test_nothing_was_reconfigured_for_that(host):
    assert len(host.file("/var/log/gitlab/reconfigure").listdir()) == 1
