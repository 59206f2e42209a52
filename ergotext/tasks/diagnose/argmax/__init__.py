"""Tokens that no hidden state can make the argmax.

Token i is argmaxable if some hidden state h gives it the highest logit, strictly:
(w_i − w_j)·h + b_i − b_j > 0 for all j ≠ i (Grivas, Bogoychev and Lopez 2022, "Low-rank softmax
can have unargmaxable classes in theory but rarely in practice"). ``layer`` holds the rows and
checks a direction; ``search`` looks for directions, cheap ones first; ``program`` solves the
linear program of a token that is left, and ``workers`` many of them; ``decided`` is what is known
so far; ``check`` runs all of it, and ``report`` shows the result.
"""
