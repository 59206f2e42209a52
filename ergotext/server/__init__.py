"""Answer over HTTP: questions, structured output, sentences as they form, and a page to try them.

- ``settings``, ``run``: what is served and where; sockets, start and graceful stop.
- ``worker``: the one thread that runs the models: a bounded queue, batches, time limits.
- ``models``, ``writing``, ``chatting``: what the worker does for each kind of request.
- ``app``: the routes; ``routes``, ``openai``, ``stream``: the handlers of each group.
- ``requests``, ``openai_requests``, ``replies``: what goes in and out, as OpenAPI shows it.
- ``gate``: identifiers, logs, hosts, tokens and bodies, before a handler sees a request.
- ``errors``, ``logs``, ``metrics``: refusals in one line; what operators see.

It needs the extra ``server``.
"""
