"""Write your own energy term: sentences about a dog with few letters e.

python examples/own_energy.py
"""

import ergotext as et


def letter_e(texts: list[str]) -> list[float]:
    """Two nats for every letter e."""
    return [2.0 * text.lower().count("e") for text in texts]


def main() -> None:
    lm = et.load("smollm2")
    energy = et.fluency(lm) + et.keywords(["dog"]) + et.length(10) + et.custom(letter_e, "letter e")
    result = et.sample(energy, sampler="annealing", chains=4, steps=60, seed=0)
    for sample in result.best(3):
        print(f"{sample.text}   {sample.terms}")


if __name__ == "__main__":
    main()
