"""Draw docs/images/energy.svg: five texts, their energies and their shares of exp(−E).

python benchmarks/landing_picture.py
"""

import math
from html import escape
from pathlib import Path

import ergotext as et

ROOT = Path(__file__).resolve().parents[1]
CONTEXT = "It was a quiet morning in the small town."
WORDS = ("summer", "beach")
TEXTS = (
    "The summer sun warmed the beach.",
    "The beach was crowded all summer.",
    "Summer the beach sun a warmed.",
    "The sun warmed the beach.",
    "It was summer.",
)
BLUE, ORANGE, GREY = "#3b6ea5", "#d98c3f", "#9aa0a6"
LEFT, SCALE, ROW = 280, 3.3, 34


def scored() -> list[tuple[str, float, float, list[str], float]]:
    """Text, −log p, length prior, missing words, share of exp(−E) among these texts."""
    lm = et.load("smollm2").given(CONTEXT)
    batch = et.TokenBatch.of([lm.vocabulary.encode(f" {text}") for text in TEXTS])
    fluency = et.fluency(lm, end="sentence")(batch).tolist()
    length = (et.fluency(lm, end="sentence") + et.length(7, 2.0)).terms(batch)["length"].tolist()
    missing = [[word for word in WORDS if word not in text.lower()] for text in TEXTS]
    mass = [
        0.0 if gone else math.exp(-a - b)
        for a, b, gone in zip(fluency, length, missing, strict=True)
    ]
    shares = [one / sum(mass) for one in mass]
    return list(zip(TEXTS, fluency, length, missing, shares, strict=True))


def label(x: float, y: float, text: str, fill: str = "#222", more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{fill}" {more}>{escape(text)}</text>'


def drawn(rows: list[tuple[str, float, float, list[str], float]]) -> str:
    """The picture as SVG."""
    height = 62 + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="680" height="{height}" fill="white"/>',
        label(12, 26, "text", GREY),
        label(LEFT, 26, "−log p", BLUE),
        label(LEFT + 54, 26, "+ length", ORANGE),
        label(LEFT + 114, 26, f"+ keywords: {', '.join(WORDS)}", GREY),
        label(668, 26, "sampled", GREY, 'text-anchor="end"'),
    ]
    for i, (text, fluency, length, missing, share) in enumerate(rows):
        y = 48 + ROW * i
        ink = GREY if missing else "#222"
        end = LEFT + SCALE * fluency
        parts += [
            label(12, y + 14, text, ink),
            f'<rect x="{LEFT}" y="{y}" width="{SCALE * fluency:.0f}" height="18" fill="{BLUE}"/>',
            f'<rect x="{end:.0f}" y="{y}" width="{SCALE * length:.0f}" height="18" '
            f'fill="{ORANGE}"/>',
            label(
                end + SCALE * length + 8, y + 14,
                f"+ ∞: no {', no '.join(missing)}" if missing else f"{fluency + length:.1f} nats",
                ink,
            ),
            label(668, y + 14, f"{share:.1%}" if not missing else "never", ink,
                  'text-anchor="end"'),
        ]  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "images" / "energy.svg").write_text(drawn(scored()), encoding="utf-8")
