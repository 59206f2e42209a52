"""What an operator counts, in Prometheus' form."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Meters:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.requests = Counter(
            "ergotext_requests", "Requests, by route and status.", ["route", "status"], registry=own
        )
        self.seconds = Histogram(
            "ergotext_request_seconds", "From a request to the end of its answer.", ["route"],
            buckets=SECONDS, registry=own,
        )  # fmt: skip
        self.open = Gauge(
            "ergotext_open_requests", "Requests without a whole answer.", registry=own
        )
        self.waiting = Gauge("ergotext_waiting_requests", "Requests in the queue.", registry=own)
        self.batch = Histogram(
            "ergotext_batch_requests", "Requests answered together.", buckets=SIZES, registry=own
        )
        self.computing = Counter(
            "ergotext_computing_seconds", "Time in which the models' thread worked.", registry=own
        )
        self.refused = Counter(
            "ergotext_refused_requests", "Requests refused as the queue was full.", registry=own
        )
        self.dropped = Counter(
            "ergotext_dropped_requests",
            "Requests whose client hung up before the answer.",
            registry=own,
        )

    def text(self) -> bytes:
        """All of them, as ``/metrics`` shows it."""
        return generate_latest(self.registry)
