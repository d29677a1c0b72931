"""The watch against a real API server whose certificate, tokens and past change."""

import gc
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster.api import Api, connect
from cluster.components import kill, start
from watching import Watching

from kube9 import apiserver
from kube9.clock import Clock
from kube9.watch import Start

# Python's ssl forgets to close a socket whose other side was killed before the handshake.
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")]
numbers = itertools.count()


@pytest.fixture
def api() -> Iterator[Api]:
    connected = connect()
    yield connected
    connected.close()


@pytest.fixture
def watching(api: Api) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(kubeconfig: str = "", **options: object) -> Watching:
        server = apiserver.connect(kubeconfig or os.environ["KUBECONFIG"])
        started.append(Watching(server, Clock(), patience_s=60.0, **({"silence_s": 1.0, "settle_s": 0.5} | options)))
        return started[-1]

    yield start
    for running in started:
        running.stop()
    gc.collect()  # while the warning is left out


@pytest.fixture
def namespace(api: Api) -> str:
    return api.make_namespace(f"watched-{next(numbers)}")


@pytest.mark.scenario("REC-28")
def test_a_token_and_a_certificate_that_were_exchanged(watching, api: Api, namespace: str, tmp_path: Path) -> None:
    good, config, other = Path(os.environ["KUBECONFIG"]).read_text(), tmp_path / "config", tmp_path / "other.crt"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other"]
    subprocess.run([*request, "-keyout", tmp_path / "other.key", "-out", other], check=True, capture_output=True)
    ca = Path(os.environ["CLUSTER_DIR"]) / "pki" / "apiserver.crt"
    api.make_event(namespace, "trusted")
    config.write_text(good.replace(str(ca), str(other)))
    running = watching(str(config))
    running.until(lambda: running.state.failures["unreachable"])
    assert "certificate is not to be trusted" in running.state.problem
    config.write_text(good.replace("admin-token", "old-token"))
    running.until(lambda: running.state.failures["unauthorized"])
    config.write_text(good)
    running.until(lambda: "trusted.17b2c4" in running.names())


@pytest.mark.scenario("REC-08")
def test_lines_of_a_real_server(watching, api: Api, namespace: str) -> None:
    running = watching()
    running.until(lambda: running.state.last_list_at)
    api.make_event(namespace, "changed")
    path = f"/api/v1/namespaces/{namespace}/events/changed.17b2c4"
    api.request("PATCH", path, {"count": 5})
    api.request("DELETE", path)
    running.until(lambda: any(page.deleted for page in running.pages))
    assert running.counts()["changed.17b2c4"][1] == 5
    running.until(lambda: running.state.last_probe_at)
    assert running.state.failures == {}


@pytest.mark.scenario("REC-28", "REC-33")
def test_a_version_that_a_real_server_has_compacted(watching, api: Api, namespace: str) -> None:
    api.make_event(namespace, "not-compacted")
    running = watching(start=Start("1", "2026-01-01T00:00:00.000Z"), silence_s=10.0)
    running.until(lambda: "not-compacted.17b2c4" in running.names())
    assert set(running.state.failures) <= {"expired"}  # a young cluster still has its first version


@pytest.mark.scenario("REC-28")
def test_a_real_server_that_is_killed(watching, api: Api, namespace: str) -> None:
    running = watching()
    running.until(lambda: running.state.last_list_at)
    api.make_event(namespace, "before-the-kill")
    running.until(lambda: "before-the-kill.17b2c4" in running.names())
    kill("kube-apiserver")
    running.until(lambda: not running.state.connected)
    start("kube-apiserver")
    with closing(connect()) as again:
        again.make_event(namespace, "after-the-kill")
    running.until(lambda: "after-the-kill.17b2c4" in running.names())
    assert running.names().count("before-the-kill.17b2c4") == 1 or "expired" in running.state.failures
    assert [cause for cause, _ in running.gaps()] == ["disconnected"]


@pytest.mark.scenario("REC-35")
def test_a_real_etcd_that_is_restored_from_a_backup(watching, api: Api, namespace: str) -> None:
    data, backup = Path(os.environ["CLUSTER_DIR"]) / "etcd", Path(os.environ["CLUSTER_DIR"]) / "etcd-backup"
    both = ("kube-apiserver", "etcd")
    api.make_event(namespace, "in-the-backup")
    kill(*both)
    shutil.copytree(data, backup)
    start("etcd", "kube-apiserver")
    running = watching()
    running.until(lambda: "in-the-backup.17b2c4" in running.names())
    with closing(connect()) as again:
        again.make_events(namespace, 300, prefix="lost")
    running.until(lambda: sum(name.startswith("lost") for name in running.names()) == 300)
    kill(*both)
    shutil.rmtree(data)
    shutil.move(backup, data)
    start("etcd", "kube-apiserver")
    with closing(connect()) as again:
        again.make_event(namespace, "restored")
    running.until(lambda: "restored.17b2c4" in running.names())
    assert running.gaps() == [("restored", None)]
    assert running.state.failures["restored"] == 1
