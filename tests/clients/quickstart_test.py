"""conf/quickstart.sh, the first thing that anybody runs, keeps its promises and leaves an edge that answers."""
import os
import subprocess

from support.edge import ROOT, binary, free_port

PROGRAMS = ("curl",)


def test_the_quickstart_shows_what_it_promises_and_leaves_the_edge_running(tmp_path):
    script = os.path.join(ROOT, "conf/quickstart.sh")
    ports = [str(free_port()) for _ in range(4)]
    environment = {**os.environ, "ENTREPOT_BIN": binary(), "QUICKSTART_DIR": str(tmp_path),
                   "QUICKSTART_PORTS": " ".join(ports)}
    try:
        with open(tmp_path / "said", "wb") as said:  # a pipe would stay open in the processes that it leaves
            done = subprocess.run([script], env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                  check=False, timeout=600)
        text = (tmp_path / "said").read_text()
        assert done.returncode == 0, text
        assert text.count("PASS") == 15 and "FAIL" not in text, text
        still = subprocess.run(["curl", "-sS", "--fail", "--http2", "--cacert", str(tmp_path / "certs/localhost.pem"),
                                "-o", str(tmp_path / "again"), f"https://localhost:{ports[0]}/entrepot.bin"],
                               check=False, capture_output=True, text=True, timeout=60)
        assert still.returncode == 0, still.stderr
        with open(binary(), "rb") as right:
            assert (tmp_path / "again").read_bytes() == right.read()
    finally:
        subprocess.run([script, "stop"], env=environment, check=True, timeout=60)
    for name in os.listdir(tmp_path / "artifacts"):
        if name.startswith("firmware"):
            os.unlink(tmp_path / "artifacts" / name)
