from contextvars import copy_context
from threading import Thread

from steelyard.models.fake import FakeEncoder
from steelyard.models.metering import metered, record
from steelyard.schema.outputs import Usage


def test_a_meter_counts_the_calls_inside_its_block_only():
    record(Usage(tokens_in=100))
    with metered() as meter:
        record(Usage(tokens_in=3, seconds=0.5))
        record(Usage(tokens_out=2, seconds=0.25))
    record(Usage(tokens_in=100))
    assert (meter.usage.tokens_in, meter.usage.tokens_out, meter.calls, meter.model_s) == (3, 2, 2, 0.75)


def test_nested_meters_both_count():
    with metered() as outer:
        record(Usage(tokens_in=1))
        with metered() as inner:
            record(Usage(tokens_in=2))
    assert (outer.usage.tokens_in, inner.usage.tokens_in) == (3, 2)


def test_a_closed_meter_keeps_its_wall_time():
    with metered() as meter:
        pass
    assert meter.usage.seconds == meter.usage.seconds >= 0.0


def test_another_thread_is_not_counted_unless_it_is_given_the_context():
    with metered() as meter:
        context = copy_context()
        for thread in (
            Thread(target=record, args=[Usage(tokens_in=1)]),
            Thread(target=context.run, args=[record, Usage(tokens_in=10)]),
        ):
            thread.start()
            thread.join()
    assert meter.usage.tokens_in == 10


def test_an_encoder_call_is_metered():
    with metered() as meter:
        FakeEncoder().encode(["three small words", "one"])
    assert meter.usage.encoder_tokens == 4
    assert meter.calls == 1
