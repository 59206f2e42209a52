"""Reports: one self-contained page on what a command found, and how.

``page`` puts sections into a page; ``runs`` makes the section of a run of a sampler, of its
``chains`` or ``particles``, with ``plots`` and what ``remarks`` say of its numbers; ``generations``
that of generated texts. ``saving`` is for Python what ``--report`` is for commands.
"""
