"""A webhook goes to the internet over TLS, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from gatepost_core.webhooks.urls import is_public, read_url

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104 - it is refused
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "192.0.2.1", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_on_the_internet_is_refused(address: str) -> None:
    """Loopback, private networks, link-local, metadata services, and IPv6 forms of all of them."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_is_accepted(address: str) -> None:
    """Also in the IPv6 form of an IPv4 address."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://0x7f.1/",
        "https://0/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://exämple.com/",
        "https://①②⑦.0.0.1/",
        "https:///path",
        "https://",
        "example.com",
        "https://example.com/" + "a" * 2000,
        "https://example.com/\r\nX: y",
    ],
)
def test_a_url_that_is_not_plainly_on_the_internet_is_refused(url: str) -> None:
    """In every spelling of an address; the error repeats no part of it."""
    with pytest.raises(ValueError, match=r"must|names|is not a URL") as problem:
        read_url(url)

    assert "127" not in str(problem.value)
    assert "password" not in str(problem.value).replace("user, password", "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/hook", "https://[::1]:8443/", "http://receiver.internal/"])
def test_development_may_use_http_and_private_addresses(url: str) -> None:
    """With the setting alone."""
    with pytest.raises(ValueError, match="GATEPOST_WEBHOOK_ALLOW_PRIVATE"):
        read_url(url)

    assert read_url(url, allow_private=True).text == url


def test_a_url_is_read_once_and_shown_nowhere() -> None:
    """Its repr has no part of it, because a path may be a secret."""
    url = read_url("https://hooks.example.com:8443/secret?key=1")

    assert (url.scheme, url.host, url.port, url.authority) == (
        "https",
        "hooks.example.com",
        8443,
        "hooks.example.com:8443",
    )
    assert repr(url) == "WebhookUrl(***)"
