"""Servers behind passwords, encryption and sentinels, and clusters: the same store."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from faultware.config.storeurl import read_redis_url
from faultware.errors import StoreError
from faultware.state.redis import RedisStore
from faultware.state.store import KILLED
from tests.redis_server import redis_server
from tests.state.conftest import INITIAL
from tests.state.test_stores import SECONDS, armed, changed, eventually, killed

pytestmark = pytest.mark.usefixtures("collected")


def opened(url):
    return RedisStore(read_redis_url(f"{url}{'&' if '?' in url else '?'}timeout=10s"), INITIAL)


def try_everything(url):
    """All that a store does, in two processes' stead."""
    here, there = opened(url), opened(url)
    woken = threading.Event()
    there.begin(woken.set)
    eventually(lambda: there.known().version)
    there.report(1, killed=False, switched_at=0.0)
    assert eventually(here.workers)
    here.update(changed)
    eventually(lambda: there.known().reason == "changed")
    here.kill(killed)
    eventually(lambda: there.signal[0] & KILLED)
    there.update(armed)
    assert not here.read().killed
    here.close()


def test_a_password_opens_a_server(tmp_path):
    with redis_server(tmp_path, "--requirepass", "s3cret-pass") as server:
        try_everything(f"redis://:s3cret-pass@{server.host}/1")
        wrong = f"redis://:wr0ng-pass@{server.host}/1"
        assert complaint(wrong) == "invalid username-password pair or user is disabled."
        assert complaint(f"redis://{server.host}/1") == "it wants a password, and the URL has none"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("maxmemory", "1", "OOM command not allowed when used memory > 'maxmemory'."),
        ("replicaof", "127.0.0.1 1", "READONLY You can't write against a read only replica."),
    ],
)
def test_a_server_that_takes_nothing_is_as_one_that_does_not_answer(tmp_path, name, value, said):
    with redis_server(tmp_path) as server:
        url = f"redis://{server.host}/0"
        armed = opened(url)
        armed.read()
        say(server, f"CONFIG SET {name} {value}" if name == "maxmemory" else f"{name} {value}")
        for change in (armed.update, armed.kill):
            with pytest.raises(StoreError) as caught:
                change(killed)
            assert str(caught.value) == f"{url}: {said}"
        assert armed.signal[0] & KILLED
        say(server, "CONFIG SET maxmemory 0" if name == "maxmemory" else "replicaof no one")
        armed.ask()
        assert opened(url).read().killed


def complaint(url):
    with pytest.raises(StoreError) as caught:
        opened(url).read()
    return str(caught.value).partition("/1: ")[2]


def test_a_user_of_its_own_needs_few_rights(tmp_path):
    may = ("+eval", "+time", "+hmget", "+hget", "+hset", "+hdel", "+hgetall", "+expire", "+publish", "+subscribe")
    rights = (
        "on",
        ">s3cret-pass",
        "~{faultware:*",
        "resetchannels",
        "&{faultware:*",
        *may,
        "+unsubscribe",
        "+@connection",
    )
    with redis_server(tmp_path, "--user", "chaos", *rights) as server:
        try_everything(f"redis://chaos:s3cret-pass@{server.host}/0")


def test_where_no_message_comes_through_it_is_asked_all_the_same(tmp_path):
    with redis_server(tmp_path, "--user", "chaos", "on", ">s3cret-pass", "~*", "+@all", "-subscribe") as server:
        try_everything(f"redis://chaos:s3cret-pass@{server.host}/0")


def test_a_server_is_found_by_its_ipv6_address(tmp_path):
    with redis_server(tmp_path, "--bind", "127.0.0.1", "::1") as server:
        try_everything(f"redis://[::1]:{server.port}/0")


def test_sentinels_tell_where_the_server_is(tmp_path):
    with redis_server(tmp_path) as server:
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(f"sentinel monitor main 127.0.0.1 {server.port} 1\n")
        with redis_server(tmp_path, "--sentinel", configuration=configuration) as sentinel:
            try_everything(f"redis+sentinel://{sentinel.host}/main/2")
            with pytest.raises(StoreError, match="No master found for 'other'"):
                opened(f"redis+sentinel://{sentinel.host}/other").read()


def test_a_replica_takes_over_and_what_was_killed_stays_so(tmp_path):
    fast = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
    with (
        redis_server(tmp_path, *fast) as main,
        redis_server(tmp_path, "--replicaof", "127.0.0.1", str(main.port)) as spare,
    ):
        eventually(lambda: b"master_link_status:up" in say(spare, "INFO replication"))
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor main 127.0.0.1 {main.port} 1\n"
            # Not on a machine that stands still for a moment; after two seconds of that it does nothing for thirty.
            "sentinel down-after-milliseconds main 2500\nsentinel failover-timeout main 1000\n"
        )
        with redis_server(tmp_path, "--sentinel", configuration=configuration) as sentinel:
            eventually(lambda: b"slaves=1" in say(sentinel, "INFO sentinel"))
            store, woken = opened(f"redis+sentinel://{sentinel.host}/main"), threading.Event()
            store.begin(woken.set)
            eventually(lambda: store.known().version)
            store.kill(killed)
            main.kill()
            eventually(lambda: store.trouble)
            begun_at = time.monotonic()

            def has_taken_over():
                nonlocal begun_at
                if time.monotonic() - begun_at > 15.0:
                    # It does nothing for half a minute when its machine has stood still; a new one knows nothing of it.
                    sentinel.kill()
                    sentinel.start()
                    begun_at = time.monotonic()
                return not store.trouble and b"role:master" in say(spare, "INFO replication")

            eventually(has_taken_over, 4 * SECONDS)
            assert store.read().killed
            assert store.update(armed).version > 2


def test_a_cluster_is_a_store_too(tmp_path):
    with redis_server(tmp_path, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf") as server:
        for first in range(0, 16384, 4096):
            say(server, "CLUSTER ADDSLOTS " + " ".join(map(str, range(first, first + 4096))))
        eventually(lambda: b"cluster_state:ok" in say(server, "CLUSTER INFO"))
        try_everything(f"redis+cluster://{server.host},127.0.0.1:1?name=shop")


def say(server, words):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(words.encode() + b"\r\n")
        return connection.recv(65536)


def test_an_encrypted_connection_is_made_and_its_certificate_is_checked(tmp_path, shared_redis):
    certify(tmp_path, "localhost")
    with Encrypting(tmp_path, shared_redis.port) as port:
        where = f"localhost:{port}/0?name=encrypted"
        try_everything(f"rediss://{where}&ca={tmp_path / 'ca.pem'}")
        with pytest.raises(StoreError, match="certificate verify failed"):
            opened(f"rediss://{where}").read()
        with pytest.raises(StoreError, match="certificate verify failed"):
            opened(f"rediss://127.0.0.1:{port}/0?ca={tmp_path / 'ca.pem'}").read()
        with pytest.raises(StoreError, match="the file of the option ca is not there, or cannot be read"):
            opened(f"rediss://{where}&ca={tmp_path / 'gone.pem'}").read()


def certify(directory, name):
    """A certificate for a name, and its key; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (directory / "key.pem").write_bytes(pem)


class Encrypting:
    """Ends TLS in front of a server that has none."""

    def __init__(self, directory, port):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self._listener.getsockname()[1]

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        try:
            outside = self._context.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        with outside, socket.create_connection(("127.0.0.1", self._port)) as inside:
            back = threading.Thread(target=pump, args=(inside, outside), daemon=True)
            back.start()
            pump(outside, inside)
            back.join(10)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
