"""How the help of a command looks: options in groups, then examples."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

OTHERS = "Options"
"""Title of the options that belong to no group."""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "write": (
        'ergotext write summer beach "ice cream"',
        'ergotext write dog "throw|threw" ball --words 8-15 -n 5',
        "ergotext write 妈妈 厨房 --model gemma3-270m",
        """echo '["coffee", "morning"]' | ergotext write - --json""",
    ),
    "retrieve": (
        'ergotext retrieve -i facts.ergo -k 1 "Who painted Guernica?"',
        "ergotext retrieve -i facts.ergo --json - < questions.txt",
        'ergotext retrieve -i facts.ergo --coverage 0.9 "How high is Mount Everest?"',
    ),
    "generate": (
        'ergotext generate "The capital of France is " --choice Paris --choice London',
        'ergotext generate --schema person.json --chat "Describe a person as JSON."',
        'ergotext generate "A date: " --regex "[0-9]{4}-[0-9]{2}-[0-9]{2}" --method sample -n 3',
        "ergotext generate - --index titles.ergo --json < prompts.txt",
    ),
    "serve": (
        "ergotext serve -i facts.ergo",
        "ergotext serve --model gemma3-270m --port 8080",
        "ergotext serve -i facts.ergo --model none --host 0.0.0.0 --token-file token.txt",
    ),
    "infill": (
        'ergotext infill "The ___ sat on the ___{1,3}." -n 5',
        "ergotext infill - --json < templates.txt",
    ),
    "paraphrase": (
        'ergotext paraphrase "How can I learn to play the guitar quickly?"',
        "ergotext paraphrase - --json -n 1 < texts.txt",
    ),
    "sample": (
        r'ergotext sample --regex " The (cat|dog) sat [a-z ]+\." -n 256',
        "ergotext sample --keyword dog --sampler mh --steps 400 -o out.jsonl",
        "ergotext sample --config run.toml --steps 800 --show-config",
    ),
    "samplers": ("ergotext samplers",),
    "doctor": ("ergotext doctor", "ergotext doctor --json"),
    "evaluate": (
        "ergotext evaluate questions.jsonl -i facts.ergo -o predictions.jsonl",
        "ergotext evaluate questions.jsonl --predictions predictions.jsonl --json",
    ),
    "calibrate": ("ergotext calibrate questions.jsonl -i facts.ergo",),
    "read": (
        'ergotext read passage.txt "When did the bridge open?"',
        'cat passage.txt | ergotext read - "Who built it?" --json',
    ),
    "diagnose": (
        "ergotext diagnose smollm2 --check stopping --check repetition",
        "ergotext diagnose tiny-causal --report report.md",
    ),
    "train": (
        "ergotext train questions.jsonl -i kb.ergo -o mine --minutes 5",
        "ergotext train questions.jsonl -i kb.ergo -o mine --minutes 5 --resume",
    ),
    "index build": (
        "ergotext index build facts.tsv -o facts.ergo --tokenizer tiny-retriever",
        "ergotext index build titles.txt -o titles.ergo --columns key",
    ),
    "index add": ("ergotext index add facts.ergo more.tsv",),
    "index remove": ("ergotext index remove facts.ergo gone.tsv",),
    "index info": ("ergotext index info facts.ergo --json",),
    "index get": ('ergotext index get facts.ergo "Mercury" -n 5',),
    "index verify": ("ergotext index verify facts.ergo",),
}
"""By command."""
EXIT_CODES = (
    "Exit codes: 0 success; 1 failure; 2 wrong input or usage; 130 after Ctrl-C, and 128 + N after "
    "another signal N. Ctrl-C and SIGTERM keep the results so far."
)


class HelpfulCommand(TyperCommand):
    """A command whose help has its options in groups and ends with examples.

    An option names its group as typer's ``rich_help_panel``, which is used without rich here.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            if (record := one.get_help_record(ctx)) is None:
                continue
            title = getattr(one, "rich_help_panel", None) or OTHERS
            argument = one.param_type_name == "argument"
            sections.setdefault("Arguments" if argument else title, []).append(record)
        others = sections.pop(OTHERS, [])  # --help among them, which stands last
        for title, records in [*sections.items(), (OTHERS, others)]:
            with formatter.section(title):
                formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer calls it so
        if self.epilog:
            with formatter.section("Examples"):
                # As they are: a wrapped command could not be copied.
                formatter.write("".join(f"  {line}\n" for line in self.epilog.splitlines()))


def of(name: str, kind: type[HelpfulCommand] = HelpfulCommand) -> dict[str, Any]:
    """The settings of a command for ``typer``: its class, and the examples of its help."""
    return {"cls": kind, "epilog": "\n".join(EXAMPLES[name])}
