"""Text made to hurt, and YAML beyond what the language offers: one clear error, within bounded time and memory."""

import json
import subprocess
import sys
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
DIRECTIVES = "YAML directives (lines that begin with %) are not offered. Remove the line."
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
        (
            "!!python/object/apply:os.system [x]",
            "f:1:1: document: ",
            "YAML tags such as 'tag:yaml.org,2002:python/object/apply:os.system' are not offered. Remove the tag.",
        ),
        ("%YAML 1.1\n---\nweir: 1", "f:1:1: document: ", DIRECTIVES),
        ("\ufeff%TAG ! x\n---\nweir: 1", "f:1:2: document: ", DIRECTIVES),
        ("weir: 1\n...\n%TAG ! x\n---\nweir: 1", "f:3:1: document: ", DIRECTIVES),
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
        ("weir: 1 # \u202e}", "f:1:11: document: ", "character U+202E cannot stand in a policy. Remove it."),
        ("weir: 1 # \u2066}", "f:1:11: document: ", "character U+2066 cannot stand in a policy. Remove it."),
        ("weir: 1\n\ufeff", "f:2:1: document: ", "character U+FEFF cannot stand in a policy. Remove it."),
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
    ids=range(32),
)
def test_one_clear_error(text, start, end):
    (line,) = errors_of(text)
    assert line.startswith(start) and line.endswith(end) and len(line) < 600


def test_names_and_values_cannot_break_or_reorder_a_line():
    names = r'{"a\nb": {}, "\u202Ec": {}, "\e[31md": {}, "\0": {}, "\x85": {unmatched: "de\u2028ny"}}'
    found = errors_of(f"weir: 1\npolicies: {names}")
    assert len(found) == 6 and all(line.isprintable() for line in found)
    assert [line.split(": ")[1] for line in found[:3]] == [r"policies.a\nb", r"policies.\u202ec", r"policies.\x1b[31md"]


MOST_MEMORY = 300 * 1024 * 1024
WITHIN_MEMORY = f"""
import json, resource, sys
from policies.errors import PolicyErrors
from policies.parser import parse
resource.setrlimit(resource.RLIMIT_AS, ({MOST_MEMORY}, {MOST_MEMORY}))
for text in (
    "weir: 1\\npolicies: [" + "a," * 1_000_000 + "]",
    "[" * 4_000_000,
    "a: " * 1_000_000,
    "".join(f"%TAG !a{{i}}! x\\n" for i in range(250_000)) + "---\\nweir: 1",
    'weir: "' + "\\\\0" * 2_000_000 + '"',
    "weir: 1\\npolicies: {{? " + "k" * 4_000_000 + " : {{}}}}",
    "#\\n" * 2_000_000,
    "x" * 100_000_000,
):
    try:
        parse({{"f": text}})
    except PolicyErrors as wrong:
        print(json.dumps(list(map(str, wrong.errors))))
"""


def test_large_texts_end_in_one_error_each_within_bounded_memory():
    done = subprocess.run([sys.executable, "-c", WITHIN_MEMORY], capture_output=True, text=True, check=True)
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(len(errors) == 1 and len(errors[0]) < 600 for errors in ends)
    expected = [
        f"more than {source.MAX_VALUES} values in one file. Split it into several files.",
        "more than 64 levels inside each other. Make the file flatter.",
        "Quote a text that has ': ' in it, and indent keys of one mapping alike.",
        DIRECTIVES,
        "is not understood here. Write 1.",
        "beginning with a letter, a digit or '_'.",
        "the file is empty. Begin it with 'weir: 1'.",
        "the file is larger than 4 MiB. Split it into several files.",
    ]
    assert len(ends) == len(expected)
    assert all(errors[0].endswith(end) for errors, end in zip(ends, expected, strict=True))


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
