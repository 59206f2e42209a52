"""Structured output in one call: what is wanted, prompts, search or draws, and probabilities.

- ``wanted``: a schema, type, expression, choice, grammar or index as an automaton and a parser.
- ``prompts``: plain prompts and chat templates as tokens.
- ``fields``, ``alternatives``: the values that a field might have had, with their probabilities.
- ``generate``: the call; ``results``: what it returns, as text and as JSON.
"""
