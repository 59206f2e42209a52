"""Write sentences from keywords, and print how the energy falls.

python examples/keywords_to_sentence.py
"""

import ergotext as et


def main() -> None:
    lm = et.load("smollm2")
    energy = et.fluency(lm) + et.keywords(["summer", "beach"], any_order=True) + et.length(12)
    result = et.sample(energy, sampler="annealing", chains=4, steps=60, seed=0)
    for sample in result.best(3):
        print(f"{sample.energy:6.1f}  {sample.text}")
    lowest = result.energy.min(dim=1).values
    print("lowest energy every 10 steps:", [round(float(e), 1) for e in lowest[::10]])


if __name__ == "__main__":
    main()
