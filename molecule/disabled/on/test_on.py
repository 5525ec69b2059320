"""KAS is on: before, also after check mode, and when it was turned on again."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_kas_is_ready(node):
    assert node.readiness == "200"
    assert "*:8155" in node.listeners


def test_rails_is_told(node):
    assert node.rails_config["enabled"] is True
    assert node.rails == "ok"
