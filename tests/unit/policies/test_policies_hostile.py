"""Text made to hurt, and YAML beyond what the language offers: one clear error, within bounded time and memory."""

import tracemalloc

import pytest

from policies import source
from policies.errors import MAX_ERRORS, PolicyErrors
from policies.parser import parse


def errors_of(text: str) -> list[str]:
    with pytest.raises(PolicyErrors) as raised:
        parse({"f": text})
    return [str(error) for error in raised.value.errors]


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)
ALIASES = "YAML anchors (&) and aliases (*) are not offered. Write the value out."


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (LAUGHS, "f:1:4: a: ", ALIASES),
        ("weir: &a 1", "f:1:7: weir: ", ALIASES),
        ("weir: *a", "f:1:7: weir: ", ALIASES),
        (
            "weir: !!int 1",
            "f:1:7: weir: ",
            "YAML tags such as 'tag:yaml.org,2002:int' are not offered. Remove the tag.",
        ),
        ("weir: 1\n<<: {}", "f:2:1: <<: ", "merge keys ('<<') are not offered. Write the keys out."),
        ("weir: 1\n---\nweir: 1", "f:2:1: document: ", "Put each document into a file of its own."),
        ("weir: 1\n? [a]\n: 1", "f:2:3: ?: ", "a list or mapping stands where a key should. Write 'key: value'."),
        ("weir: 1\nweir: 1", "f:2:1: weir: ", "'weir' stands here twice, first at f:1:1. Remove one of them."),
        ("[" * 100_000, "f:1:66: [0]", "more than 64 levels inside each other. Make the file flatter."),
        ("{a: " * 100_000, "f:1:261: a.a", "more than 64 levels inside each other. Make the file flatter."),
        ("- " * 100_000, "f:1:131: [0]", "more than 64 levels inside each other. Make the file flatter."),
        ("? " * 100_000, "f:1:3: ?: ", "Write 'key: value'."),
        ("a" * (source.MAX_BYTES + 1), "f:1:1: document: ", "larger than 4 MiB. Split it into several files."),
        ("weir: 1\nx\x00", "f:2:2: document: ", "character U+0000 cannot stand in a policy. Remove it."),
        ("weir: '\ud800'", "f:1:8: document: ", "character U+D800 cannot stand in a policy. Remove it."),
        ("weir: 1 #\u2028policies: {}", "f:1:10: document: ", "character U+2028 cannot stand in a policy. Remove it."),
        ("weir: 1 #\rpolicies: {}", "f:1:10: document: ", "character U+000D cannot stand in a policy. Remove it."),
        ("a" * 1_000_000 + ": 1", "f:1:1000001: document: ", "indent keys of one mapping alike."),
        ("weir: " + "1" * 1_000_000, "f:1:7: weir: ", "111111111111' is not understood here. Write 1."),
        ("weir: 1\npolicies:\n\tred: {}", "f:3:1: document: ", "and quote a text that begins with %, @ or `."),
        ("weir: 1\npolicies: a: b", "f:2:12: document: ", "indent keys of one mapping alike."),
        ("weir: 1\npolicies\nlinks: {}", "f:3:1: document: ", "Write 'key: value', with a space after the colon."),
        (
            "weir: [1",
            "f:2:1: document: ",
            "Close the bracket, and quote a text that has brackets, commas or ': ' in it.",
        ),
        ("weir: '1", "f:1:9: document: ", "found unexpected end of stream. Close the quotation mark."),
        ('weir: "\\UFFFFFFFF"', "f:1:10: document: ", "texts with special characters in quotes."),
    ],
    ids=range(25),
)
def test_one_clear_error(text, start, end):
    (line,) = errors_of(text)
    assert line.startswith(start) and line.endswith(end) and len(line) < 600


def test_more_values_than_a_policy_needs():
    (line,) = errors_of("weir: 1\npolicies: [" + "a," * source.MAX_VALUES + "]")
    assert line.endswith(f"more than {source.MAX_VALUES} values in one file. Split it into several files.")


def test_errors_are_bounded_in_number():
    lines = errors_of("weir: 1\n" + "a: 1\n" * 100_000)
    assert len(lines) == MAX_ERRORS + 1
    assert lines[-1].endswith(f"document: more than {MAX_ERRORS} errors. Mend these first.")


def test_memory_stays_bounded_when_a_small_text_stands_for_a_large_one():
    tracemalloc.start()
    try:
        errors_of(LAUGHS)
        errors_of("[" * 1_000_000)
        errors_of("weir: 1\npolicies:\n ? " + "n" * 100_000 + "\n : {children: {" + "a: {}, " * 900 + "}}")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_large_honest_file_is_read():
    rules = "".join(f"      - allow: {{to: 10.0.{i // 256}.{i % 256}, service: tcp/{i}}}\n" for i in range(1, 5001))
    assert len(parse({"f": f"weir: 1\npolicies:\n  p:\n    rules:\n{rules}"}).nodes["p"].rules) == 5000
