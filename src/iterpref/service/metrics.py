"""What the service counts, in Prometheus' words; of one application, so that two in a process don't add up."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """Counters of one service; `text` is what `/metrics` shows."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter("iterpref_requests", "Requests answered.", ("route", "status"), registry=own)
        self.verdicts = Counter("iterpref_verdicts", "Jobs answered, by verdict.", ("verdict",), registry=own)
        self.refused = Counter("iterpref_refused_jobs", "Jobs refused because all places were taken.", registry=own)
        self.waiting = Gauge("iterpref_admitted_jobs", "Jobs that wait or run.", registry=own)
        self.running = Gauge("iterpref_running_jobs", "Jobs that run.", registry=own)
        self.queued_s = Histogram("iterpref_queue_seconds", "Wait for a worker.", buckets=_SECONDS, registry=own)
        self.run_s = Histogram("iterpref_run_seconds", "Time with a worker.", buckets=_SECONDS, registry=own)

    def text(self) -> bytes:
        return generate_latest(self._registry)
