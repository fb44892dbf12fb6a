"""The declared questions: each default answers its own question, each rule refuses in a sentence."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field, cluster_field, mesh_field
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh, Verify

FIELDS = MESH_FIELDS + CLUSTER_FIELDS
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
_values = st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: f"{field.scope}-{field.key}")
class TestEveryField:
    def test_its_default_is_right(self, field: Field) -> None:
        assert field.mistake(field.default) in (None, "an answer is required")
        if field.default is not None:
            assert field.mistake(field.default) is None
            assert field.parse(field.render(field.default)) == field.default

    def test_it_explains_itself(self, field: Field) -> None:
        assert field.title[0].isupper() or field.key == "verify.curlImage"
        assert field.help.rstrip().endswith(".")
        assert field.choices if field.kind == "choice" else not field.choices

    def test_its_flag_is_one_word_of_lower_case(self, field: Field) -> None:
        assert field.flag == field.flag.lower()
        assert " " not in field.flag
        assert field.flag.startswith("--")


def test_flags_are_unique_within_the_mesh() -> None:
    flags = [field.flag for field in MESH_FIELDS]
    assert len(set(flags)) == len(flags)
    assert mesh_field("istio.imagePullPolicy").flag == "--istio-image-pull-policy"


def test_every_part_of_the_model_but_what_is_no_part_of_the_file_is_bound_to_one_field() -> None:
    sections: dict[str, type] = {"istio": Istio, "certificates": Certificates, "verify": Verify, "gateway": Gateway}

    def attributes(of: type) -> set[str]:
        assert is_dataclass(of)
        names = {field.name for field in fields(of)}
        below = {f"{name}.{each.name}" for name in names & set(sections) for each in fields(sections[name])}
        return (names - set(sections)) | below

    for model, declared, others in ((Mesh, MESH_FIELDS, {"clusters"}), (Cluster, CLUSTER_FIELDS, {"gateway.gone"})):
        bound = [field.attribute for field in declared]
        assert len(bound) == len(set(bound))
        assert set(bound) == attributes(model) - others


@given(st.sampled_from(FIELDS), _values)
def test_any_value_is_right_or_refused_in_a_sentence(field: Field, value: Any) -> None:
    wrong = field.mistake(value)
    assert wrong is None or (isinstance(wrong, str) and wrong)
    if value is None and not field.required:
        assert wrong is None


@given(st.sampled_from(FIELDS), st.text())
def test_what_is_typed_and_right_survives_being_rendered(field: Field, typed: str) -> None:
    value = field.parse(typed)
    if field.mistake(value) is None:
        assert field.parse(field.render(value)) == value


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (mesh_field("name"), ["mesh1", "a", "a" * 63], ["Mesh", "-a", "a-", "a" * 64, "a.b", "a\n", "ä"]),
        (mesh_field("trustDomain"), ["cluster.local", "td"], ["cluster..local", "Cluster.local", ".a", "a/b"]),
        (mesh_field("istio.version"), ["1.29.1", "1.30.0-rc.1"], ["1.29", "v1.29.1", "latest", "1.29.1\n"]),
        (mesh_field("istio.hub"), ["docker.io/istio", "reg:5000/a/b"], ["https://reg", "a//b", "UPPER/x", "a/ b"]),
        (mesh_field("verify.curlImage"), ["curlimages/curl:8.16.0", "r/c@sha256:" + "a" * 64], ["a:b:c:d e", "r/c@sha256:1"]),
        (mesh_field("verify.namespace"), ["sample"], ["istio-system", "kube-system", "default", "A"]),
        (mesh_field("topology"), ["multi-primary", "primary-remote"], ["star"]),
        (mesh_field("istio.revision"), ["1-29-1", "canary", "a" * 40], ["1.29.1", "Canary", "a" * 41, "default"]),
        (mesh_field("istio.pullSecret"), ["regcred", "a.b"], ["Reg", "a_b", "a" * 254]),
        (mesh_field("certificates.source"), ["generate", "directory", "offline"], ["folder"]),
        (mesh_field("verify.probes"), ["before", "never"], ["after", True]),
        (cluster_field("role"), ["primary", "remote"], ["config", ""]),
        (cluster_field("gateway.exposure"), ["node-port", "external-ips", "load-balancer", "cluster-ip-route"], ["host"]),
        (cluster_field("discoveryAddress"), ["10.0.0.1", "istiod.example.com"], ["localhost", "127.0.0.1", "a b", "10.1"]),
        (cluster_field("serviceCidr"), ["10.96.0.0/16", "fd00::/108"], ["10.96.0.1/16", "10.96", "all"]),
        (cluster_field("gateway.node"), ["10.1.2.3"], ["127.0.0.1", "node1"]),
        (cluster_field("sample"), ["v1", "v9999"], ["v0", "1", "v01", "v10000"]),
        (cluster_field("network"), ["network1", "Net_1.a"], ["-n", "a b", "n" * 64]),
        (cluster_field("gateway.address"), ["10.1.2.3", "2001:db8::1", "lb.example.com"],
         ["127.0.0.1", "::", "224.0.0.1", "localhost", "10.1"]),
        (cluster_field("gateway.port"), [1, 20443, 31443, 65535], [0, -1, 65536, "31443", True, 1.5]),
        (cluster_field("apiServer"), ["https://10.0.0.1:6443", "https://[2001:db8::1]:6443"],
         ["http://10.0.0.1", "https://localhost:6443", "https://127.0.0.2", "https://[::1]:1", "https://a:99999", "10.0.0.1",
          "https://a;rm -rf /", "https://a:1$(x)"]),
    ],
)  # fmt: skip
def test_rules(field: Field, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert field.mistake(value) is None, value
    for value in bad:
        assert field.mistake(value) is not None, value


def test_a_number_typed_is_a_number() -> None:
    port = cluster_field("gateway.port")
    assert port.parse(" 31443 ") == 31443
    assert port.parse("31 443") == "31 443"
    assert port.parse("²") == "²"
    assert port.parse("") is None
    assert mesh_field("istio.overlays").parse("a.yaml, b.yaml,") == ["a.yaml", "b.yaml"]
