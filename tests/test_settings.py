"""What a setting may not be is said when it is read, by the setting's name, and not by the first request."""

from __future__ import annotations

import pytest

from settings import SettingsRefused, read_settings


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("ALLOWED_HOSTS", "*", "expected host names such as whales.example"),
        ("ALLOWED_HOSTS", "https://whales.example", "without scheme and port"),
        ("ALLOWED_HOSTS", "whales.example:8000", "without scheme and port"),
        ("ALLOWED_HOSTS", "whales.example,,a", "expected host names"),
        ("ALLOWED_HOSTS", "whales.example/", "expected host names"),
        ("TRUSTED_PROXIES", "10.0.0.300", "expected IP addresses or networks such as 10.0.0.7"),
        ("TRUSTED_PROXIES", "10.0.0.3,nginx", "expected IP addresses"),
        ("TRUSTED_PROXIES", "*", "expected IP addresses"),
        ("USER", " ", "expected a name"),
    ],
)
def test_what_would_never_hold_is_refused_when_it_is_set(name: str, given: str, expected: str) -> None:
    with pytest.raises(SettingsRefused, match=rf"FLUKEPRINT_{name} is '.*': .*{expected}"):
        read_settings({f"FLUKEPRINT_{name}": given})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("ALLOWED_HOSTS", "whales.example, flukeprint,10.0.0.7,[fe80::1]"),
        ("TRUSTED_PROXIES", "10.0.0.3, 10.1.0.0/16,::1"),
        ("USER", "A. Person"),
    ],
)
def test_what_can_hold_is_taken_as_it_was_given(name: str, given: str) -> None:
    assert getattr(read_settings({f"FLUKEPRINT_{name}": given}), name.lower()) == given
