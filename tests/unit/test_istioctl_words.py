"""What the real istioctl says went wrong is told whole: it may say it in several lines."""

from __future__ import annotations

import pytest

from wizard.istio.istioctl import last_words

ART = "        |\\\n        | \\\n      /||  \\\n"
PROFILES = (
    "Error: failed to read profiles:\n"
    "\tfailed to open charts directory /opt/istio/manifests: no such file or directory\n"
)  # fmt: skip
WAITED = """- Processing resources for Istiod. Waiting for Deployment/istio-system/istiod
✘ Istiod encountered an error: failed to wait for resource: resources not ready after 5m0s: context deadline exceeded
  Deployment/istio-system/istiod (containers with unready status: [discovery])
- Processing resources for Ingress gateways.
- Pruning removed resources
Error: failed to install manifests: errors occurred during operation
"""


@pytest.mark.inputs("15")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (PROFILES, ["failed to read profiles: failed to open charts directory /opt/istio/manifests"]),
        (ART + PROFILES, ["no such file or directory"]),
        (WAITED, ["context deadline exceeded", "containers with unready status: [discovery]", "failed to install"]),
        (
            "Error: 2 errors occurred:\n\t* unknown field a\n\t* unknown field b\n",
            ["unknown field a", "unknown field b"],
        ),
        ("Error: could not read:\n\n- a list item\n", ["could not read: - a list item"]),
    ],
)
def test_a_reason_on_another_line_is_told(said: str, told: list[str]) -> None:
    words = last_words(said)
    assert all(each in words for each in told), words
    assert "\n" not in words
    assert "Pruning" not in words
    assert "||" not in words


@pytest.mark.inputs("15")
def test_of_an_endless_error_both_ends_are_told_and_no_credential() -> None:
    words = last_words(f"Error: it began so\n{'x ' * 500_000}\ntoken: abcdefghijkl\nit ended so\n")
    assert words.startswith("Error: it began so")
    assert len(words) < 2100
    words = last_words(f"Error: it began so\n{'x ' * 2000}\ntoken: abcdefghijkl\nit ended so\n")
    assert words.endswith("it ended so")
    assert "abcdefghijkl" not in words


def test_usage_and_silence() -> None:
    usage = "Error: unknown flag: --nonsense\n\nUsage:\n  istioctl install [flags]\n"
    assert last_words(usage) == "Error: unknown flag: --nonsense"
    assert last_words("a\nb\nc\nd\n") == "b c d"
    assert last_words("") == "it said nothing"
