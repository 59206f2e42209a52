"""Chains that redraw one token after another, on the two small models that come along.

python examples/gibbs.py

``mlm-gibbs`` draws each token from the masked model's conditional: what it samples, nobody wrote
down. ``mlm-mh`` proposes the same way and decides by the energy, so it samples exp(−E).
"""

import ergotext as et

BEGINNINGS = ["The children played in the garden.", "今天天气很好，我们去学校。"]


def main() -> None:
    causal, masked = et.load("tiny-causal"), et.load("tiny-masked")
    # The masked model has no weight in the energy: it proposes, the causal one decides.
    energy = et.fluency(causal) + 0 * et.pseudo_likelihood(masked)
    for text in BEGINNINGS:
        initial = et.TokenBatch.of([masked.encode(text)])
        print(f"{text}   E = {float(energy(initial)[0]):.1f}")
        for sampler in ("mlm-gibbs", "mlm-mh"):
            run = et.sample(energy, sampler, chains=2, steps=40, seed=0, initial=initial)
            last = run.trace.states[-1]
            for line, value in zip(masked.decode(last), run.energy[-1].tolist(), strict=True):
                print(f"  {sampler:9}  {line}   E = {value:.1f}")


if __name__ == "__main__":
    main()
