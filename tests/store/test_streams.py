"""Names of streams: put together and taken apart in one place."""

import pytest

from eventstore.streams import account_of, stream_of, unescaped

NAMES = ["O-1", "BTC/USD", "/", "a//b", "ü 漢 😀", "-"]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_thing_is_called_its_stream_has_three_parts_and_gives_the_name_back(name: str) -> None:
    stream = stream_of("order", "ACC1", name)
    assert account_of(stream) == "ACC1"
    category, account, entity = stream.split("/")
    assert (category, account, unescaped(entity)) == ("order", "ACC1", name)


def test_a_slash_is_written_as_the_format_says() -> None:
    assert stream_of("contract", "-", "BTC/USD") == "contract/-/BTC%2FUSD"
