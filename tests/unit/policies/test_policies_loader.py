import pytest

from policies.errors import PolicyErrors
from policies.loader import load
from policies.source import MAX_BYTES


def errors_of(*paths) -> str:
    with pytest.raises(PolicyErrors) as raised:
        load(paths)
    return str(raised.value)


def test_texts_by_path_as_given(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "p.yaml").write_bytes("weir: 1 # é".encode())
    (tmp_path / "p.yaml").write_bytes(b"weir: 1\r\n")
    assert load([tmp_path / "a" / "p.yaml", str(tmp_path / "p.yaml")]) == {
        f"{tmp_path}/a/p.yaml": "weir: 1 # é",
        f"{tmp_path}/p.yaml": "weir: 1\r\n",
    }


def test_what_cannot_be_read(tmp_path):
    assert errors_of(tmp_path / "no.yaml") == (
        f"{tmp_path}/no.yaml:1:1: document: there is no such file. Check the name."
    )
    assert errors_of(tmp_path) == (
        f"{tmp_path}:1:1: document: is a directory. Name the files in it: {tmp_path}/*.yaml."
    )
    name = "n" * 300
    assert errors_of(name) == f"{name}:1:1: document: cannot be read: File name too long. Make it a readable file."
    (tmp_path / "latin.yaml").write_bytes(b"weir: 1\n# \xe9\n")
    assert errors_of(tmp_path / "latin.yaml") == (
        f"{tmp_path}/latin.yaml:2:3: document: byte 0xE9 is not UTF-8. Save the file as UTF-8."
    )
    (tmp_path / "wide.yaml").write_bytes("weir: 1".encode("utf-16"))
    assert errors_of(tmp_path / "wide.yaml").endswith("/wide.yaml:1:1: document: byte 0xFF is not UTF-8. "
                                                      "Save the file as UTF-8.")  # fmt: skip


def test_too_large_and_endless(tmp_path):
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    expected = "document: the file is larger than 4 MiB. Split it into several files."
    assert errors_of(tmp_path / "big.yaml") == f"{tmp_path}/big.yaml:1:1: {expected}"
    assert errors_of("/dev/zero") == f"/dev/zero:1:1: {expected}"


def test_a_file_named_twice(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("weir: 1")
    (tmp_path / "link.yaml").symlink_to(file)
    assert errors_of(file, file) == f"{file}:1:1: document: the file is named twice. Name each file once."
    assert errors_of(file, tmp_path / "link.yaml") == (
        f"{tmp_path}/link.yaml:1:1: document: the file is named twice, also as '{file}'. Name each file once."
    )


def test_all_files_are_tried(tmp_path):
    assert len(errors_of(tmp_path / "b.yaml", tmp_path / "a.yaml", tmp_path).splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("e\x1b[31m.yaml", "e\\x1b[31m.yaml"),
        ("two\nlines.yaml", "two\\nlines.yaml"),
        ("bell\x07.yaml", "bell\\x07.yaml"),
        ("to-left\u202e.yaml", "to-left\\u202e.yaml"),
        ("latin\udce9.yaml", "latin\\udce9.yaml"),
    ],
)
def test_a_name_that_is_not_printable(tmp_path, name, shown):
    (tmp_path / name).write_text("weir: 1")
    expected = (
        "the name of the file is not printable. Rename the file, or its directory, in letters that can be printed."
    )
    assert errors_of(tmp_path / name) == f"{tmp_path}/{shown}:1:1: document: {expected}"


def test_a_printable_name_of_any_script(tmp_path):
    (tmp_path / "büro 東京.yaml").write_text("weir: 1")
    assert len(load([tmp_path / "büro 東京.yaml"])) == 1
