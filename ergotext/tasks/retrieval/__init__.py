"""Answer questions with the entries of an index.

- ``retriever``: the class ``Retriever``; ``request``, ``results``: what goes in and comes out.
- ``search`` with ``branch_and_bound``, ``probability``: the best keys, and their probabilities.
- ``readers``, ``masked``: how a model reads questions; ``candidates``, ``lookahead``: which keys
  are likely before the model is run.

>>> et.Retriever(et.load("tiny-retriever"), "facts.ergo").retrieve(["Where is Mount Fuji?"])
"""
