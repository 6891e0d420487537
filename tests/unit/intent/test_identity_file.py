from __future__ import annotations

import pytest

from controller.intent.identity import BindRequest
from controller.intent.identity_file import read
from policies.errors import PolicyErrors


def test_a_list_of_bindings_is_read_as_text_with_its_places() -> None:
    text = "- {user: no, vif: 007, ttl: 90 s}\n- user: bob\n  ip: 10.0.0.1\n"
    assert read({"u.yaml": text}) == [
        BindRequest("no", "007", None, 90.0, "u.yaml:1:3: [0]"),
        BindRequest("bob", None, "10.0.0.1", None, "u.yaml:2:3: [1]"),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: document: the file is empty. Write each binding as in '- {user: alice, vif: web1}'."]),
        (" # nobody\n", ["1:1: document: the file is empty. Write each binding"]),
        ("[]", ["1:1: document: this is no list of bindings. Write each binding"]),
        ("user: bob\n", ["1:1: document: this is no list of bindings."]),
        ("- bob\n", ["1:3: [0]: a text stands where a mapping should."]),
        ("- &a {user: a, vif: b}\n", ["1:3: [0]: YAML anchors (&) and aliases (*) are not offered."]),
        ("- {vif: a}\n", ["1:3: [0].user: is missing. Add 'user: alice'."]),
        ("- {user: a, vif: b, ip: c}\n", ["1:3: [0]: it says both vif and ip."]),
        ("- {user: a}\n", ["1:3: [0]: it says neither vif nor ip."]),
        ("- {user: a, vif: b, ttl: 8}\n", ["1:26: [0].ttl: '8' has no unit."]),
        ("- {user: a, vif: b, tll: 8 s}\n", ["1:21: [0].tll: unknown key 'tll'. The nearest valid key is 'ttl'."]),
        (
            "- {user: a, vif: b}\n- {user: [a], ip: 1.2.3.4}\n",
            ["2:10: [1].user: a list stands where one value should."],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, lines: list[str]) -> None:
    with pytest.raises(PolicyErrors) as errors:
        read({"u.yaml": text})
    told = [str(error) for error in errors.value.errors]
    assert len(told) >= len(lines)
    for line in lines:
        assert any(one.startswith(f"u.yaml:{line}") for one in told), told
