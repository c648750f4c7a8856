"""Rows with given figures."""

from dataclasses import replace

from zoo.benchmark.row import Row

ROW = Row(
    model="lenet5",
    format="torch",
    precision="fp32",
    batch_size=1,
    latency_ms=1.0,
    interval_ms=(0.95, 1.05),
    spread=0.05,
    p95_ms=1.5,
    images_per_second=1000.0,
    passes=600,
    rounds=6,
    params=61_706,
    mult_adds=423_040,
    file_bytes=250_000,
    peak_memory_bytes=None,
    ceiling_share=0.01,
    top1=None,
    device="cpu",
    threads=2,
)


def slowed(row: Row, times: float) -> Row:
    low, high = row.interval_ms
    return replace(row, latency_ms=times * row.latency_ms, interval_ms=(times * low, times * high))
