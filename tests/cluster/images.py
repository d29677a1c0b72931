"""The one image that the test workloads run: busybox, packed here, since no registry can be reached.

python tests/cluster/images.py [NAME]     inside `cluster.py run --node`; NAME is test.local/busybox:1 by default
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

if __package__:
    from cluster.cluster import pack_image
else:  # as a command
    from cluster import pack_image

BUSYBOX = "test.local/busybox:1"


def import_busybox(name: str = BUSYBOX) -> str:
    """Pack busybox as an image of this name, give it to the node's containerd, and return the name."""
    address = os.environ["CONTAINERD_ADDRESS"]
    busybox = shutil.which("busybox") or "/bin/busybox"
    with tempfile.TemporaryDirectory(prefix="kube9-image-") as work:
        tree = pathlib.Path(work) / "tree"
        for folder in ("bin", "etc", "tmp"):
            (tree / folder).mkdir(parents=True)
        shutil.copy(busybox, tree / "bin/busybox")  # the static build: the image holds no libraries
        (tree / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        (tree / "tmp").chmod(0o1777)
        applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True, timeout=10).stdout.split()
        for applet in applets:
            if applet != "busybox":
                (tree / "bin" / applet).symlink_to("busybox")
        image = pack_image(pathlib.Path(work) / "busybox.tar", name, tree, ["/bin/sh"])
        subprocess.run(
            ["ctr", "-a", address, "-n", "k8s.io", "images", "import", str(image)], check=True, capture_output=True, timeout=60
        )
    return name


if __name__ == "__main__":
    if "CONTAINERD_ADDRESS" not in os.environ:
        raise SystemExit("images.py: no CONTAINERD_ADDRESS: run it inside `cluster.py run --node`")
    print(import_busybox(*sys.argv[1:2]))
