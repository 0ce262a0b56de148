"""What an error of Kafka means to the kernel."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from aiokafka.errors import CorruptRecordException, KafkaError, OffsetOutOfRangeError

from eventkernel.errors import CorruptData, Unavailable


@contextmanager
def failures_of(what: str) -> Generator[None]:
    """Turns what may pass (no broker, no answer in time, no leader) into `Unavailable`, lost or damaged records into
    `CorruptData`. Settings have been checked before, so that a refused password or right is for now, too: somebody
    changes it on the brokers.

    Only an error's name is repeated: its text may hold what the client sent.
    """
    try:
        yield
    except OffsetOutOfRangeError as error:
        raise CorruptData(f"{what}: records that were there are gone") from error
    except CorruptRecordException as error:
        raise CorruptData(f"{what}: a record batch is damaged") from error
    except TimeoutError as error:
        raise Unavailable(f"{what}: no answer in time") from error
    except (KafkaError, OSError) as error:
        raise Unavailable(f"{what}: {type(error).__name__}") from error
