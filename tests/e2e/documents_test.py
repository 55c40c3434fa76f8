"""What the documents say is there, and what they give to copy works."""
import os
import pathlib
import re
import subprocess

import pytest

from support.edge import ROOT, binary, make_certificate

DOCUMENTS = sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "*/*.md", "*/*/*.md")
                   for path in pathlib.Path(ROOT).glob(pattern) if path.relative_to(ROOT).parts[0] != "build")


def read(path):
    return pathlib.Path(ROOT, path).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(document))
    folder = os.path.dirname(os.path.join(ROOT, document))
    missing = [link for link in links if ":" not in link and not os.path.exists(os.path.join(folder, link))]
    assert missing == []


def test_the_conf_of_the_readme_passes_the_test_of_a_conf(tmp_path):
    conf = re.search(r"```nginx\n(.*?)```", read("README.md"), re.S).group(1)
    conf = re.sub(r"(?<=\s)/(run|var|srv)/", rf"{tmp_path}/\1/", conf)
    for folder in ("certs", "run", "var/log/entrepot", "var/cache", "srv/firmware"):
        (tmp_path / folder).mkdir(parents=True)
    make_certificate(str(tmp_path / "certs"), "edge")
    (tmp_path / "mime.types").write_text(read("conf/mime.types"), encoding="utf-8")
    (tmp_path / "edge.conf").write_text(conf, encoding="utf-8")
    done = subprocess.run([binary(), "-t", "-p", str(tmp_path), "-c", "edge.conf"], capture_output=True, text=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_the_table_of_directives_has_every_directive_and_no_other():
    table = read("proxy/config/directives.cc")
    known = {name for name in re.findall(r'^ +\{"(\w+)", k\w+', table, re.M)}
    assert len(known) > 40
    text = read("conf/README.md")
    rows = "".join(line.split(" | ")[0] for line in re.findall(r"^\| (`.*)$", text, re.M))
    accepted = re.search(r"Accepted, and said once.*?\n\n", text, re.S).group(0)
    words = set(re.findall(r"\w+", rows + accepted)) | {"events", "http"}
    assert known - words == set()
    directives = re.search(r"^## Directives\n(.*?)^## ", text, re.M | re.S).group(1)
    first = {name for row in re.findall(r"^\| (`.*)$", directives, re.M)
             for name in re.findall(r"`(\w+)", row.split(" | ")[0])}
    assert first - known == set()
