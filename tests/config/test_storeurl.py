"""URLs of stores that are reached over the network."""

from __future__ import annotations

import pytest

from faultware.config.loading import load_settings
from faultware.config.storeurl import read_redis_url
from faultware.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://localhost/", "redis://localhost:6379/0"),
        ("rediss://redis.internal:6380/2", "rediss://redis.internal:6380/2"),
        ("redis://[::1]:7000", "redis://[::1]:7000/0"),
        ("redis://user:s3cret@h:1/3?name=shop&timeout=500ms", "redis://h:1/3?name=shop"),
        ("redis+sentinel://:s3cret@a,b:26380/main", "redis+sentinel://a:26379,b:26380/main"),
        ("redis+sentinel://a/main/4?sentinel_password=s3cret", "redis+sentinel://a:26379/main/4"),
        ("rediss+cluster://a:7000,b:7001?ca=/ca.pem", "rediss+cluster://a:7000,b:7001"),
    ],
)
def test_a_url_is_shown_without_what_is_secret_and_means_the_same(text, shown):
    url = read_redis_url(text)
    assert str(url) == shown
    assert str(read_redis_url(str(url))) == shown
    assert "s3cret" not in repr(url)


def test_a_url_says_who_comes_in_and_how_long_is_waited():
    url = read_redis_url("redis://us%40er:p%3Aa%2Fss@h?timeout=250ms")
    assert (url.username, url.password, url.timeout_seconds) == ("us@er", "p:a/ss", 0.25)
    assert read_redis_url("redis://:only@h").password == "only"


def test_settings_show_a_store_without_what_is_secret():
    settings = load_settings({}, enabled=True, store="redis://:s3cret@h")
    assert settings.store == "redis://:s3cret@h"
    assert "s3cret" not in repr(settings)
    assert settings.model_dump()["store"] == "redis://h:6379/0"


@pytest.mark.parametrize(
    "text",
    [
        "redis://u:s3cret@",
        "redis://:s3cret@h/x",
        "redis://:s3cret@h@i",
        "redis+x://:s3cret@h",
        "redis://:s3cret/x@h/0",
        "redis://:s3cret?x@h/0",
        "redis://:x@s3cret@h",
        "redis://:x@y/s3cret@h/0",
        "redis://:x/s3cret@h/0",
        "redis://h?s3cret@h",
        "redis://user:s3cret",
        "redis://:s3cret",
    ],
)
def test_no_error_repeats_a_password(text):
    with pytest.raises(SettingsError) as caught:
        load_settings({}, enabled=True, store=text)
    assert "s3cret" not in str(caught.value)
