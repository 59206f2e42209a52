"""Complete tasks on top of models and samplers; each command calls one of them.

- Texts: ``write``, ``infill``, ``paraphrase``, ``sample`` (``config``).
- Answers: ``read`` from a passage; ``retrieval`` from an index (``index``, ``lookup``).
- ``training`` and ``evaluation`` of retrievers, on ``datasets``.
"""
