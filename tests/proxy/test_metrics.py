"""The names on /metrics are part of the outside."""

import pytest

from proxy.metrics import Metrics


def test_the_names_and_labels_that_dashboards_are_built_on():
    metrics = Metrics()
    metrics.requests.add("compact", 200)
    metrics.tokens.add("full", by=100)
    metrics.tokens.add("sent", by=40)
    metrics.price.add("paid", by=40)
    metrics.price.add("rival", by=90.5)
    metrics.epochs.add("break-even")
    metrics.memory_errors.add("timeout")
    metrics.learned.add("dropped")
    metrics.learner_queue.set(3)
    metrics.late_acks.add()
    metrics.overhead.observe(0.003)
    with metrics.stage("recall"):
        pass
    lines = metrics.render().decode().splitlines()
    for line in (
        'isocost_requests_total{mode="compact",status="200"} 1.0',
        'isocost_tokens_total{kind="full"} 100.0',
        'isocost_tokens_total{kind="sent"} 40.0',
        'isocost_price_total{kind="paid"} 40.0',
        'isocost_price_total{kind="rival"} 90.5',
        'isocost_epochs_total{why="break-even"} 1.0',
        'isocost_memory_errors_total{reason="timeout"} 1.0',
        'isocost_learned_total{outcome="dropped"} 1.0',
        "isocost_learner_queue 3.0",
        "isocost_late_acknowledgements_total 1.0",
        'isocost_overhead_seconds_bucket{le="0.005"} 1.0',
        'isocost_overhead_seconds_bucket{le="0.0025"} 0.0',
        'isocost_stage_seconds_count{stage="recall"} 1.0',
    ):
        assert line in lines


def test_a_stage_that_fails_is_timed_and_its_error_passes():
    metrics = Metrics()
    with pytest.raises(KeyError), metrics.stage("count"):
        raise KeyError
    assert metrics.registry.get_sample_value("isocost_stage_seconds_count", {"stage": "count"}) == 1


def test_two_applications_live_in_one_process():
    one, other = Metrics(), Metrics()
    one.late_acks.add()
    assert "isocost_late_acknowledgements_total 1.0" in one.render().decode()
    assert "isocost_late_acknowledgements_total 0.0" in other.render().decode()
