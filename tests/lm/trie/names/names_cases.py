"""Small bases, and questions that name their subjects in other ways."""

from __future__ import annotations

from pathlib import Path

from ergotext.lm.tokenizers.characters import TextTokenizer
from ergotext.lm.trie import TokenTrie
from ergotext.lm.trie.lines import build_from_lines
from ergotext.lm.trie.mentions import Mentions
from ergotext.lm.trie.spotted import Naming

FACTS = {
    "Guernica": "Pablo Picasso", "Leonardo da Vinci": "Mona Lisa; Last Supper", "Mars": "Phobos",
    "John Fitzgerald Kennedy": "Boston", "United States of America": "Washington",
    "阿根廷国家男子足球队": "梅西", "哈维尔·萨维奥拉": "河床俱乐部、巴塞罗那",
    "彭州市人民医院": "彭州市", "龙门石窟": "洛阳龙门山", "米": "粮食作物",
    "北京大学": "蔡元培校长", "Frédéric Chopin": "Żelazowa Wola",
    "是什么": "一首老歌曲", "Apple Computer Company": "Steve Wozniak",
}  # fmt: skip
LINES = [f"{subject}\t{p}\t{o}" for subject, o in FACTS.items() for p in ("first", "second")]
CASES = [
    ("who painted guerncia?", "guerncia", "Guernica", Naming.NEAR),
    ("who painted Guernika?", "Guernika", "Guernica", Naming.NEAR),
    ("what did da vinci paint", "da vinci", "Leonardo da Vinci", Naming.NEAR),
    ("where was JFK born?", "JFK", "John Fitzgerald Kennedy", Naming.NEAR),
    ("capital of the USA", "USA", "United States of America", Naming.NEAR),
    ("阿根廷男足主教练是谁", "阿根廷男足", "阿根廷国家男子足球队", Naming.NEAR),
    ("萨维奥拉多高", "萨维奥拉", "哈维尔·萨维奥拉", Naming.NEAR),
    ("薩維奧拉多高", "薩維奧拉", "哈维尔·萨维奥拉", Naming.NEAR),
    ("彭州市人名医院在哪", "彭州市人名医院", "彭州市人民医院", Naming.NEAR),
    ("龍門石窟在哪裏", "龍門石窟", "龙门石窟", Naming.OTHER),
    ("北大的校长", "北大", "北京大学", Naming.NEAR),
    (
        "ＦＲＥＤＥＲＩＣ ＣＨＯＰＩＮ",
        "ＦＲＥＤＥＲＩＣ ＣＨＯＰＩＮ",
        "Frédéric Chopin",
        Naming.OTHER,
    ),
    ("who was frederic chopin", "frederic chopin", "Frédéric Chopin", Naming.OTHER),
    (
        "which one did Steve Wozniak found?",
        "Steve Wozniak",
        "Apple Computer Company",
        Naming.VALUE,
    ),
    ("who painted the last supper?", "last supper", "Leonardo da Vinci", Naming.VALUE),
    ("谁在巴塞羅那踢球", "巴塞羅那", "哈维尔·萨维奥拉", Naming.VALUE),
]


def made(folder: Path, lines: list[str], tokenizer: TextTokenizer | None = None) -> TokenTrie:
    path = folder / "lines.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    trie, _ = build_from_lines(path, tokenizer)
    return trie


def spotted(trie: TokenTrie, text: str) -> dict[tuple[str, str], Naming]:
    """The span and the subject of each mention in a text, and how it is named."""
    mentions = Mentions(trie)
    found = mentions.find([text], other_letters=True, near="always")
    low, _ = trie.span(found.state)
    names = [key.partition("\t")[0] for key in mentions.key_texts(low)]
    return {
        (text[start:stop], name): Naming(kind)
        for start, stop, kind, name in zip(
            found.start.tolist(), found.stop.tolist(), found.kind.tolist(), names, strict=True
        )
    }
