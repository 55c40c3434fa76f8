"""skopeo and buildah through repositories whose registry wants a bearer token: Debian's docker-registry, and a token
server that signs for it."""
import collections

import pytest

from support.daemons import Registry
from support.images import OCI_MANIFEST, Layout, assert_whole, buildah_pull, digest_of, pull, push
from support.tokens import TokenServer

PROGRAMS = ("skopeo", "buildah", "curl", "docker-registry")

SIZES = (300, 2 << 20)
OURS, THEIRS = "team/ours", "team/theirs"
ACCOUNTS = {"edge": "the edge's secret", "pusher": "p", "reader": "secret of ours", "both": "secret of both"}
RIGHTS = {"edge": {OURS, THEIRS}, "pusher": {OURS, THEIRS}, "both": {OURS, THEIRS}, "reader": {OURS}}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return {name: Layout(tmp_path_factory.mktemp("image"), sizes=SIZES, seed=seed)
            for name, seed in ((OURS, 3000), (THEIRS, 4000))}


@pytest.fixture
def tokens(tmp_path, certificate):
    server = TokenServer(tmp_path, certificate, ACCOUNTS, RIGHTS)
    yield server
    server.close()


@pytest.fixture
def registry(tmp_path, tokens, images):
    registry = Registry(tmp_path / "registry", tokens=tokens).start()
    for name, layout in images.items():
        push(layout, registry, tmp_path, image=name, options=("--dest-creds", f"pusher:{ACCOUNTS['pusher']}"))
    registry.forget()
    tokens.forget()
    yield registry
    registry.kill()


@pytest.fixture
def make_mirror(make_edge, registry, tokens, certificate, tmp_path):
    """make_mirror(more of the repository, the edge's own credentials): an edge of one worker: each asks for tokens
    of its own."""
    def make(text="authorize edge;", credentials=None):
        if credentials:
            path = tmp_path / "credentials"
            path.write_text(credentials + "\n")
            path.chmod(0o600)
            text += f" proxy_credentials {path};"
        return make_edge("location /v2/ { repository images; }", workers=1,
                         http=f"repository images {{ format oci; proxy_pass {registry.url}; proxy_cache_valid 200 1h; "
                              f"file_hosts 127.0.0.1:{tokens.port}; proxy_ssl_trusted_certificate {certificate[0]}; "
                              f"{text} }}").start()
    return make


@pytest.fixture
def mirror(make_mirror):
    return make_mirror(credentials=f"basic edge:{ACCOUNTS['edge']}")


def refusal(*words, **options):
    """What skopeo says where it must not succeed."""
    with pytest.raises(AssertionError) as failed:
        pull(*words, **options)
    return str(failed.value)


def blobs_of(layout):
    return set(layout.blobs) - layout.manifest_digests()


def gets(registry):
    """Of blobs and manifests that were given: how often each."""
    return collections.Counter(target for method, target, status in registry.requests()
                               if method == "GET" and status == 200 and "sha256:" in target)


def all_once(images):
    return {f"/v2/{name}/{'manifests' if digest in layout.manifest_digests() else 'blobs'}/{digest}": 1
            for name, layout in images.items() for digest in layout.blobs}


# -- the edge decides --

def test_whoever_asks_is_given_what_the_edges_credentials_open_and_with_both_servers_dead(mirror, registry, tokens,
                                                                                          images, authorities,
                                                                                          tmp_path):
    for name, layout in images.items():
        assert_whole(layout, pull(mirror, authorities, tmp_path / f"cold {layout.manifest_digest[-8:]}", image=name))
        mirror.wait_idle()
    assert tokens.scopes() == {f"repository:{OURS}:pull": 1, f"repository:{THEIRS}:pull": 1}
    assert {request.fields.get("authorization", "")[:6] for request in tokens.requests} == {"Basic "}
    assert gets(registry) == all_once(images)
    registry.kill()
    tokens.kill()
    for name, layout in images.items():
        assert_whole(layout, pull(mirror, authorities, tmp_path / f"dead {layout.manifest_digest[-8:]}", image=name))


def test_a_crowd_of_cold_blobs_costs_one_token(mirror, registry, tokens, images):
    digests = [digest for digest in blobs_of(images[OURS]) for _ in range(5)]
    fetches = [mirror.start_fetch(f"/v2/{OURS}/blobs/{digest}") for digest in digests]
    for digest, fetch in zip(digests, fetches):
        got = fetch.result()
        assert (got.status, digest_of(got.body)) == (200, digest)
    assert tokens.scopes() == {f"repository:{OURS}:pull": 1}
    assert gets(registry) == {f"/v2/{OURS}/blobs/{digest}": 1 for digest in blobs_of(images[OURS])}


def test_a_token_that_the_registry_takes_no_more_is_renewed_once(mirror, registry, tokens, images):
    """The registry trusts another signer from now on."""
    small, large = sorted(blobs_of(images[OURS]), key=lambda digest: len(images[OURS].blobs[digest]))[1:]
    assert mirror.fetch(f"/v2/{OURS}/blobs/{small}").status == 200
    registry.kill()
    tokens.sign_anew()
    registry.start()
    for _ in range(2):
        got = mirror.fetch(f"/v2/{OURS}/blobs/{large}")
        assert (got.status, digest_of(got.body)) == (200, large)
        mirror.wait_idle()
    assert tokens.scopes() == {f"repository:{OURS}:pull": 2}
    assert gets(registry) == {f"/v2/{OURS}/blobs/{digest}": 1 for digest in (small, large)}


def test_buildah_needs_no_credentials_either(mirror, registry, tokens, images, authorities, tmp_path):
    for round_ in ("alive", "dead"):
        _, files = buildah_pull(tmp_path / round_, mirror, authorities, ":1.0", image=OURS)
        assert files == images[OURS].files["amd64"]
        mirror.wait_idle()
        registry.kill()
        tokens.kill()
    assert tokens.scopes() == {f"repository:{OURS}:pull": 1}


def test_credentials_that_the_token_server_refuses_are_a_clear_refusal(make_mirror, registry, tokens, images,
                                                                       authorities, tmp_path):
    """Of the edge: the client is not sent to the token server with credentials of its own, and what is stored is
    served."""
    edge = make_mirror(credentials=f"basic edge:{ACCOUNTS['edge']}")
    pull(edge, authorities, tmp_path / "good", image=OURS)
    edge.wait_idle()
    tokens.accounts["edge"] = "changed meanwhile"
    edge.stop()
    edge.start()
    tokens.forget()
    registry.forget()
    said = refusal(edge, authorities, tmp_path / "refused", image=THEIRS)
    assert "the registry refuses" in said, said
    assert tokens.scopes() == {f"repository:{THEIRS}:pull": 1}, "the client asked it, too"
    assert gets(registry) == {}
    edge.wait_log(rf'repository "images": no token of 127.0.0.1:{tokens.port}: it answered 401')
    got = edge.fetch(f"/v2/{THEIRS}/manifests/1.0", fields={"Accept": OCI_MANIFEST})
    assert got.status == 403 and "www-authenticate" not in got.fields
    got = edge.fetch(f"/v2/{THEIRS}/blobs/{max(blobs_of(images[THEIRS]))}")
    assert got.status == 403 and "www-authenticate" not in got.fields
    assert_whole(images[OURS], pull(edge, authorities, tmp_path / "stored", image=OURS))


def test_what_the_edges_credentials_do_not_open_is_a_clear_refusal(make_mirror, registry, tokens, authorities,
                                                                   tmp_path):
    edge = make_mirror(credentials=f"basic reader:{ACCOUNTS['reader']}")
    said = refusal(edge, authorities, tmp_path / "refused", image=THEIRS)
    assert "the registry refuses" in said, said
    assert tokens.scopes() == {f"repository:{THEIRS}:pull": 1}
    assert gets(registry) == {}


def test_a_token_server_on_a_host_that_is_not_allowed_is_not_asked(make_mirror, registry, tokens, authorities,
                                                                   tmp_path):
    edge = make_mirror(credentials=f"basic edge:{ACCOUNTS['edge']}")
    edge.stop()
    edge.write_conf(http=edge.http.replace(f"file_hosts 127.0.0.1:{tokens.port}; ", ""))
    edge.start()
    said = refusal(edge, authorities, tmp_path / "refused", image=OURS)
    assert "the registry refuses" in said, said
    edge.wait_log("no token of .*no public address")
    assert tokens.requests == [] and gets(registry) == {}


# -- the registry decides --

def credentials(account, password=None):
    return ("--src-creds", f"{account}:{password or ACCOUNTS[account]}")


def shown(tokens, account, image):
    """The field with a token that the client was given itself."""
    access = [{"type": "repository", "name": image, "actions": ["pull"] if image in RIGHTS[account] else []}]
    return {"Authorization": f"Bearer {tokens.token(account, access)}"}


def test_who_the_registry_lets_in_shares_bytes_and_nobody_else_has_them(make_mirror, registry, tokens, images,
                                                                        authorities, tmp_path):
    edge = make_mirror("authorize upstream;")
    for name, layout in images.items():
        assert_whole(layout, pull(edge, authorities, tmp_path / f"both {layout.manifest_digest[-8:]}", image=name,
                                  options=credentials("both")))
    edge.wait_idle()
    assert_whole(images[OURS], pull(edge, authorities, tmp_path / "reader", image=OURS, options=credentials("reader")))
    assert gets(registry) == all_once(images)
    refused = {"theirs": (THEIRS, credentials("reader")), "wrong": (OURS, credentials("reader", "wrong")),
               "anonymous": (OURS, ())}
    for name, (image, options) in refused.items():
        said = refusal(edge, authorities, tmp_path / name, image=image, options=options)
        assert "unauthorized" in said or "denied" in said or "authentication required" in said, said
        assert not list((tmp_path / name).glob("image/blobs/*/*"))
    assert {request.fields["user-agent"].split("/")[0] for request in tokens.requests} == {"skopeo"}
    assert gets(registry) == all_once(images)


def test_rights_to_one_image_do_not_open_blobs_of_another(make_mirror, registry, tokens, images, authorities, tmp_path):
    """Neither under the name of their own image, nor under that which the client may have."""
    edge = make_mirror("authorize upstream;")
    for name in images:
        pull(edge, authorities, tmp_path / name.replace("/", "-"), image=name, options=credentials("both"))
    edge.wait_idle()
    registry.forget()
    mine = max(blobs_of(images[OURS]))
    for digest in blobs_of(images[THEIRS]):
        data = images[THEIRS].blobs[digest]
        for image, status, fields in ((THEIRS, 401, shown(tokens, "reader", OURS)),
                                      (THEIRS, 401, shown(tokens, "reader", THEIRS)), (THEIRS, 401, {}),
                                      (OURS, 404, shown(tokens, "reader", OURS))):
            got = edge.fetch(f"/v2/{image}/blobs/{digest}", fields=fields)
            assert got.status == status and data not in got.body, (image, fields)
            assert ("www-authenticate" in got.fields) == (status == 401)
            edge.wait_idle()
    got = edge.fetch(f"/v2/{OURS}/blobs/{mine}", fields=shown(tokens, "reader", OURS))
    assert (got.status, digest_of(got.body)) == (200, mine)
    assert gets(registry) == {}


def test_with_the_registry_dead_nobody_can_be_let_in(make_mirror, registry, tokens, images, authorities, tmp_path):
    edge = make_mirror("authorize upstream;")
    pull(edge, authorities, tmp_path / "alive", image=OURS, options=credentials("both"))
    edge.wait_idle()
    registry.kill()
    tokens.kill()
    got = edge.fetch(f"/v2/{OURS}/blobs/{max(blobs_of(images[OURS]))}", fields=shown(tokens, "reader", OURS))
    assert got.status == 502
