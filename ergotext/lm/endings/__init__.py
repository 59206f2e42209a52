"""End a text elsewhere than at the model's end token: rules, and the scorer that follows them.

- ``rule``: the protocol of a rule. ``sentence``: at sentence terminators, with ``abbreviations``.
  ``closing``: at any of some tokens, or after so many.
- ``scorer``: the law p' of a model p under a rule, for samplers like any other model.

>>> energy = et.fluency(lm, end="sentence") + et.length(14, 4)
"""
