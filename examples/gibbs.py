"""Gibbs sampling with the two tiny models of the package, one token at a time.

python examples/gibbs.py

``mlm-gibbs`` draws each token from the masked model's conditional; its stationary distribution is
unknown. ``mlm-mh`` uses the same proposal but accepts by the energy, so it samples from exp(−E).
"""

import ergotext as et

BEGINNINGS = ["The children played in the garden.", "今天天气很好，我们去学校。"]


def main() -> None:
    causal, masked = et.load("tiny-causal"), et.load("tiny-masked")
    # Weight 0: the masked model only proposes, and the causal model defines the energy.
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
