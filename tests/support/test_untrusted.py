import json
from pathlib import Path

import pytest

from ergotext.errors import InputError, ModelError
from ergotext.support.untrusted import (
    DEEPEST,
    check_types,
    json_of,
    read_json,
    read_text,
    read_toml,
    toml_of,
)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(file) == {"a": 1}
    file.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_toml(file) == {"a": 1}
    assert read_text(file) == "a = 1"
    assert json_of("\ufeff[]") == []


def test_depth_has_a_limit_and_recursion_no_say() -> None:
    assert json_of(nested(DEEPEST))
    assert toml_of("a = " + nested(DEEPEST - 1))
    for depth in (DEEPEST + 1, 900, 100_000):
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            json_of(nested(depth))
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            json_of('{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(ValueError, match="nested more than 64 deep"):
            toml_of("a = " + nested(depth))
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        toml_of(".".join("a" * 2_000) + " = 1")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1"),
        (b'{"a": 1,\n b}', "at line 2, column 2"),
        (b"\xff\xfe{\x00", "not UTF-8: .* at byte 0"),
        (b'"\\ud83d"', "half of a surrogate pair"),
        (b"9" * 5000, r"^an integer has more than 4,300 digits$"),
    ],
)
def test_a_text_that_is_no_json_is_refused_with_the_place(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        json_of(raw)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "0x" + "f" * 5000, '[{a = "x", b = [0b' + "1" * 20_000 + "]}]"]
)
def test_an_integer_that_no_message_could_quote_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^an integer has more than 4,300 digits$"):
        toml_of(f"a = {value}")
    assert toml_of("a = 0x" + "f" * 3000)["a"] == 16**3000 - 1


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert json_of('"\\ud83d\\ude00"') == "😀"


def test_names_twice_are_refused_where_asked_also_through_escapes() -> None:
    text = '{"b": {"a": 1, "\\u0061": 2}}'
    assert json_of(text) == {"b": {"a": 2}}
    with pytest.raises(ValueError, match="the key 'a' twice"):
        json_of(text, unique=True)


def test_the_message_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(InputError, match=r"a\.json \(No such file .*\): fix the file"):
        read_json(file)
    with pytest.raises(InputError, match=r"directory"):
        read_json(tmp_path)
    file.write_text("[1]")
    with pytest.raises(ModelError, match=r"a\.json \(it contains a list, .*\): train it again"):
        read_json(file, raises=ModelError, advice="train it again")
    file.write_text(json.dumps({"a": "x" * 100}))
    with pytest.raises(InputError, match="more than 50 bytes"):
        read_json(file, largest=50)
    with pytest.raises(InputError, match="not TOML"):
        read_toml(file)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError, match="more than"):
        read_json(Path("/dev/zero"), largest=1 << 16)


def test_types_are_those_stated() -> None:
    kinds = {"n": int, "x": float, "s": str}
    check_types({"n": 1, "x": 1, "s": ""}, kinds)
    check_types({"n": 1}, kinds, optional=kinds)
    for wrong, said in (
        ({"n": 1, "x": 1.0}, "it has no s"),
        ({"n": True, "x": 1.0, "s": ""}, "n is true or false, not an integer"),
        ({"n": 1.5, "x": 1.0, "s": ""}, "n is a number, not an integer"),
        ({"n": 1, "x": None, "s": ""}, "x is null, not a number"),
        ({"n": 1, "x": 1.0, "s": [], "y": 1}, "s is a list, not a text"),
        ({"n": 1, "x": 1.0, "s": "", "y": 1}, "unknown name 'y'"),
    ):
        with pytest.raises(ValueError, match=said):
            check_types(wrong, kinds)
    for no_object, said in ((["n"], "a list"), ("n", "a text"), (None, "null"), (5, "an integer")):
        with pytest.raises(ValueError, match=f"it is {said}, not an object"):
            check_types(no_object, {"n": int})  # type: ignore[arg-type]  # files hold anything
