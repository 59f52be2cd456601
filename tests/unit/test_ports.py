"""The loopback ports that a bed is given."""

from __future__ import annotations

import pytest

from airbed.errors import Unavailable
from airbed.substrates.embedded import ports


def test_each_purpose_has_a_port_that_is_free_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_first_outgoing_port", lambda: 15_010)
    monkeypatch.setattr(ports, "is_free", lambda port: port != 15_003)
    found = ports.allocate(["a", "b"], set(range(15_000, 15_003)) | set(range(15_006, 15_010)))
    assert set(found) == {"a", "b"}
    assert set(found.values()) == {15_004, 15_005}


def test_a_port_that_follows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are free, in range, and given to nobody; which port of the first would do is found."""
    monkeypatch.setattr(ports, "_first_outgoing_port", lambda: 15_020)
    monkeypatch.setattr(ports, "is_free", lambda port: port not in (15_004, 15_015))
    taken = {15_011, 15_002}
    for _ in range(20):
        found = ports.allocate(["a", "b", "c"], taken, {"b": ("a", 10)})
        assert found["b"] == found["a"] + 10
        assert len({*found.values(), *taken, 15_004, 15_015}) == 7
    with pytest.raises(Unavailable, match=r"no free port between 15000 and 15020 for b; .*airbed down --all"):
        ports.allocate(["a", "b"], taken, {"b": ("a", 20)})
