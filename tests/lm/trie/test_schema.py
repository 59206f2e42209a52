"""Schemas: keys of lines against ``key_text``, back into fields, and notes of an index."""

from __future__ import annotations

import random
from pathlib import Path
from time import process_time

import pytest

from ergotext.errors import InputError
from ergotext.lm.trie import build_from_lines
from ergotext.lm.trie.header import IndexFileError
from ergotext.lm.trie.schema import TITLES, TRIPLES, Schema, schema_of
from tests.faulty import load_with_fault

SCHEMAS = {
    "triples": TRIPLES,
    "titles": TITLES,
    "two columns": Schema.of(["entity", "text"], key=["entity"], answer="text"),
    "no brackets": Schema.of(["name", "relation", "value"], mention="name", answer="value",
                             brackets="none"),
    "ASCII brackets": Schema.of(["subject", "predicate", "object"], mention="subject",
                                brackets=" (…)"),
    "four columns with an id": Schema.of(["id", "name", "property", "value"], mention="name",
                                         key=["property", "id"], answer="value"),
    "a column that says nothing": Schema.of(["value", "note", "name", "property"], mention="name",
                                            key=["property"], answer="value", brackets="[…]]"),
}  # fmt: skip
PIECES = ["a", "b", "（", "）", "(", ")", " ", " (", "[", "]", "]]", "水", "é"]


def rows(schema: Schema) -> list[list[str]]:
    rng = random.Random(len(schema.columns))
    return [
        ["".join(rng.choices(PIECES, k=rng.randint(1, 6))) for _ in schema.columns]
        for _ in range(300)
    ]


def check(schema: Schema, path: Path, build: object = build_from_lines) -> None:
    """The keys of lines are those of ``key_text``, with their answers, and give the fields back."""
    lines = rows(schema)
    path.write_text("".join("\t".join(row) + "\n" for row in lines), encoding="utf-8")
    # ``build`` is a fault's: an object to mypy.
    trie, read = build(path, columns=schema)  # type: ignore[operator]
    assert read.bad == 0
    expected: dict[str, list[str]] = {}
    fields: dict[str, dict[str, str]] = {}
    for row in lines:
        told = dict(zip(schema.columns, row, strict=True))
        names = [name for name in (schema.mention, *schema.key) if name is not None]
        key = schema.key_text(*(told[name] for name in names))
        expected.setdefault(key, []).extend([] if schema.answer is None else [told[schema.answer]])
        fields[key] = {name: told[name] for name in names}
        assert schema.fields(key) == fields[key]
    decode = trie.tokenizer.decode
    assert {decode(key): values for key, values in trie.items()} == expected
    assert len(trie) > 200


@pytest.mark.parametrize("name", SCHEMAS)
def test_keys_of_lines_and_back(name: str, tmp_path: Path) -> None:
    check(SCHEMAS[name], tmp_path / "lines.tsv")


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_index_notes_its_schema(name: str) -> None:
    schema = SCHEMAS[name]
    assert Schema.noted(schema.notes()) == schema
    assert ("schema" in schema.notes()) == (name not in ("triples", "titles"))


def test_indices_that_note_columns_alone() -> None:
    """As they were written before there were schemas."""
    assert Schema.noted({"columns": "subject,predicate,object"}) == TRIPLES
    assert Schema.noted({"columns": "object,subject,predicate"}) == Schema(
        ("object", "subject", "predicate"), "subject", ("predicate",), "object", ("（", "）")
    )
    assert Schema.noted({"columns": "key"}) == TITLES and TITLES.mention is None
    assert Schema.noted({"columns": "key,object"}) == Schema(("key", "object"), None, ("key",),
                                                             "object")  # fmt: skip
    assert Schema.noted({}) is None and Schema.noted({"columns": "a,b"}) is None


@pytest.mark.parametrize("note", [
    "{", "[]", "{}", '{"key": []}', '{"key": ["a", "b"]}', '{"key": ["c"]}', '{"key": [1]}',
    '{"key": ["a"], "mention": "a"}', '{"key": ["a"], "mention": "b", "brackets": ["("]}',
    '{"key": ["a"], "mention": "b", "brackets": [1, 2]}', '{"key": ["a"], "more": "b"}',
    '["key"]', '"key"', "5", "null", '{"key": [["a"]]}', '{"key": ["a"], "mention": null}',
    '{"key": ["a"], "mention": "b", "brackets": ["", ")"]}',
    '{"key": ["a"], "mention": "b", "brackets": ["(", "\\t"]}',
    '{"key": ["a"], "mention": "b", "brackets": ["(", ")", "]"]}',
])  # fmt: skip
def test_damaged_notes(note: str) -> None:
    with pytest.raises(IndexFileError, match="its schema is invalid"):
        Schema.noted({"columns": "a,b", "schema": note})


@pytest.mark.parametrize("columns", ["a," * 100_000, ",".join(map(str, range(100_000)))])
def test_a_header_full_of_columns_takes_no_time(columns: str) -> None:
    """A header may take a megabyte, and anyone may have written it."""
    began = process_time()
    assert Schema.noted({"columns": columns}) is None
    with pytest.raises(IndexFileError, match="its schema is invalid") as error:
        Schema.noted({"columns": columns, "schema": '{"key": ["a"], "mention": "b"}'})
    assert process_time() - began < 2 and len(str(error.value)) < 500


@pytest.mark.parametrize(("columns", "parts", "said"), [
    ("a,b", {}, "do not make up a key"),
    ("key,x", {}, "do not make up a key"),
    ("subject,predicate,x,object", {}, "do not make up a key"),
    ("subject,subject", {}, "is named twice"),
    ("a,b,c", {"mention": "d"}, "no column 'd'"),
    ("a,b,c", {"mention": "a", "key": ["a"]}, "is named twice"),
    ("a,b,c", {"mention": "a", "key": []}, "do not make up a key"),
    ("a,b,c", {"key": ["a", "b"]}, "do not make up a key"),
    ("a,b,c", {"mention": "a", "answer": "b", "brackets": "()"}, "with … between them"),
    ("a,b,c", {"mention": "a", "answer": "b", "brackets": "…)"}, "with … between them"),
])  # fmt: skip
def test_schemas_that_cannot_be(columns: str, parts: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        # A table of cases has parts of several types.
        Schema.of(columns.split(","), **parts)  # type: ignore[arg-type]


def test_columns_by_one_text() -> None:
    assert schema_of("subject, predicate,object") == schema_of(["subject", "predicate", "object"])
    assert schema_of("key") == TITLES and schema_of(TRIPLES) is TRIPLES


def test_columns_in_another_order() -> None:
    schema = SCHEMAS["four columns with an id"]
    other = schema.ordered(["value", "property", "id", "name"])
    assert other is not None and other.answer == "value" and other.key == schema.key
    less = schema.ordered(["property", "id", "name"])
    assert less is not None and less.answer is None and less.mention == "name"
    assert schema.ordered(["name", "property", "value"]) is None


def test_people_read_it() -> None:
    assert TRIPLES.text() == "subject,predicate,object"
    assert SCHEMAS["four columns with an id"].text() == (
        "id,name,property,value (mention name, key property,id, answer value, brackets （…）)"
    )


FAULTS = {
    "one bracket for all lines": ("np.searchsorted(places, begin)", "0 * begin"),
    "a closing bracket anywhere": ("& closes[np.maximum(last, 0)]", ""),
    "a name of nothing": ("(bracket > begin)", "(bracket >= begin)"),
    "brackets that overlap": ("& (bracket + len(opening) <= last)", ""),
    "one letter of the opening": ("for at, point in enumerate(text.tolist())",
                                  "for at, point in enumerate(text.tolist()[:1])"),
    "the opening in the meaning": ("(mention + len(opening),", "(mention + 1,"),
    "a tab after every key": ("tab + (mention < stop)", "tab + 1"),
    "the first column of the key alone": ("for column in others:", "for column in others[:1]:"),
    "columns by their place in the key": ("fields.begin[:, places[name]]", "fields.begin[:, 0]"),
    "the answer is the last": ("schema.columns.index(schema.answer)", "len(schema.columns) - 1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, tmp_path: Path) -> None:
    faulty = load_with_fault("lm.trie.lines", FAULTS[fault])
    with pytest.raises((AssertionError, ValueError, IndexError)):
        [check(schema, tmp_path / "x.tsv", faulty.build_from_lines) for schema in SCHEMAS.values()]
