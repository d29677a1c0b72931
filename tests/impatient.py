"""What `kube9 serve` runs, in this process and with shorter waits: what takes it minutes happens within seconds."""

import json
from pathlib import Path

from conftest import Kube9
from kubernetes import client, config
from loopback import free_port, get

from kube9 import apiserver, migrations, selection, watch
from kube9.cluster_recorder import Choices, ClusterRecorder

SETTINGS = watch.Settings(
    silence_s=2.0, settle_s=0.5, lived_s=1.0, server_timeout_s=(2, 3), first_delay_s=0.2, longest_delay_s=1.0
)


class Impatient:
    """A recorder into the database of a `Kube9`, with its probes on a free port."""

    def __init__(self, kube9: Kube9, kubeconfig: str | Path, read_timeout_s: float = 30.0) -> None:
        def configure() -> client.Configuration:
            configuration = client.Configuration()
            config.load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)
            return configuration

        migrations.migrate(str(kube9.db))
        self.kube9, self.port = kube9, free_port()
        self._recorder = ClusterRecorder(
            str(kube9.db),
            apiserver.ApiServer(configure, read_timeout_s),
            selection.select(everything=False),
            Choices(health_port=self.port, watching=SETTINGS),
        )
        self._recorder.start()

    def ready(self) -> bool:
        """Whether /readyz says so."""
        return self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer of the probes."""
        return get(self.port, path)

    def json(self, path: str) -> dict:
        """An answer of the probes, whatever its status."""
        return json.loads(self.get(path)[1])

    def forbidden(self) -> set[str]:
        """The resources that the API server refuses, by /healthz."""
        return {watched["resource"] for watched in self.json("/healthz")["watches"] if watched["forbidden"]}

    def status(self) -> dict:
        """`kube9 query status`."""
        return self.kube9.query("status").json

    def stop(self) -> None:
        """End it; all that was read is written."""
        assert self._recorder.stop() == 0
