"""Real applications, in each kind of worker; in one of them with the protocol checker of the standard
library (wsgiref.validate) between application and server, which raises where either is at fault."""
import hashlib
import json
import os
import subprocess
import sys

import pytest

from browser import Browser, hidden_field
from licorne import APPS, PACKAGES, WORKERS, environment, need

SITES = APPS / "sites"
NEEDED_BY = {"flask_site": "flask", "bottle_site": "bottle",
             "shop.wsgi": "django.utils.timezone", "hg_site": "mercurial.hgweb"}
MIB = 1 << 20


@pytest.fixture(params=["sync", "gthread, validated", "unbuffered"])
def host(request, start):
    """host(application, variables) serves one of tests/wsgi/sites, or a module in `chdir`."""
    servers = []
    worker, _, is_validated = request.param.partition(", ")

    def host(application, variables=(), chdir=SITES):
        env, served = dict(variables), application
        need(NEEDED_BY[application.partition(":")[0]])
        if is_validated:
            env["APPLICATION"], served = application, "validated"
        servers.append(start(*WORKERS[worker], "--keep-alive", "20", "--pythonpath",
                             f"{PACKAGES},{SITES}", "--chdir", chdir, served, env=env))
        return servers[-1]

    yield host
    for server in servers:
        server.stop()
        assert "AssertionError" not in server.stderr  # the checker's word
        assert "garbage collected without being closed" not in server.stderr


@pytest.fixture(scope="module")
def download(tmp_path_factory):
    """A file and its bytes."""
    path = tmp_path_factory.mktemp("files") / "download.bin"
    path.write_bytes(os.urandom(3 * MIB + 17))
    return path


def test_the_checker_is_in_place(start):
    server = start("--pythonpath", SITES, "--chdir", APPS, "validated",
                   env={"APPLICATION": "apps:header_lists"})
    assert server.get("/").status == 500
    server.wait_for_log("AssertionError: Headers ")


# --- Flask --------------------------------------------------------------------------------------

def test_flask_streams_each_piece_as_it_is_made(host, tmp_path):
    signal = tmp_path / "signal"
    signal.touch()
    server = host("flask_site:app")
    with server.client() as client:
        client.send(f"GET /stream?name=Ada&signal={signal} HTTP/1.1\r\nHost: t\r\n"
                    "Connection: close\r\n\r\n".encode())
        for n in range(3):  # the next piece is not made before this one has arrived
            while f"piece {n} for Ada".encode() not in client.left:
                assert client._receive(), client.left
            assert f"piece {n + 1}".encode() not in client.left
            with open(signal, "ab") as out:
                out.write(b".")
        assert client.response().body == b"piece 0 for Ada\npiece 1 for Ada\npiece 2 for Ada\n"


def test_flask_takes_uploads(host):
    data = os.urandom(4 * MIB)
    with Browser(host("flask_site:app")) as browser:
        for _ in range(2):
            answer = browser.upload("/upload", {"note": "für Ada"}, {"file": ("a b.bin", data)})
            assert json.loads(answer.body) == {
                "name": "a b.bin", "size": len(data), "note": "für Ada",
                "sha256": hashlib.sha256(data).hexdigest()}


def test_flask_reads_a_body_as_a_stream(host):
    body = b"first line\n" + os.urandom(2 * MIB)
    with Browser(host("flask_site:app")) as browser:
        answer = json.loads(browser.get("/raw", method="POST", body=body).body)
    assert answer == {"first": "first line\n", "size": len(body),
                      "sha256": hashlib.sha256(body).hexdigest()}


def test_flask_sends_files_whole_in_part_and_not_again(host, download):
    data = download.read_bytes()
    with Browser(host("flask_site:app", {"DOWNLOAD": str(download)})) as browser:
        whole = browser.get("/download")
        assert whole.status == 200 and whole.body == data
        assert "data.bin" in whole.field("Content-Disposition")
        part = browser.get("/download", [("Range", "bytes=1000000-1999999")])
        assert (part.status, part.body) == (206, data[1_000_000:2_000_000])
        assert part.field("Content-Range") == f"bytes 1000000-1999999/{len(data)}"
        again = browser.get("/download", [("If-None-Match", whole.field("ETag"))])
        assert (again.status, again.body) == (304, b"")
        head = browser.get("/download", method="HEAD")
        assert (head.field("Content-Length"), head.body) == (str(len(data)), b"")


def test_flask_keeps_a_session_in_a_cookie(host):
    server = host("flask_site:app")
    with Browser(server) as ada, Browser(server) as eve:
        assert [ada.get("/count").body for _ in range(3)] == [b"1", b"2", b"3"]
        assert eve.get("/count").body == b"1"
        assert ada.get("/count").body == b"4"


def test_flask_shows_its_own_error_pages_and_logs_the_traceback(host):
    server = host("flask_site:app")
    with Browser(server) as browser:
        forbidden = browser.get("/forbidden")
        assert (forbidden.status, forbidden.body) == (403, b"<h1>Not for you</h1>")
        assert browser.get("/nowhere").status == 404
        failed = browser.get("/fail")
        assert failed.status == 500 and b"Internal Server Error" in failed.body
        assert browser.get("/count").body == b"1"
    server.wait_for_log("ZeroDivisionError: in the view")


# --- Bottle -------------------------------------------------------------------------------------

def test_bottle_serves_its_routes(host, download):
    with Browser(host("bottle_site:app", {"DOWNLOAD": str(download)})) as browser:
        assert browser.get("/hello/Ada%20L").body == b"Hello, Ada L!\n"
        assert browser.get("/nowhere").status == 404
        assert browser.get("/sum").status == 405
        answer = browser.get("/sum", [("Content-Type", "application/json")], "POST",
                             b'{"numbers": [1, 2, 3.5]}')
        assert json.loads(answer.body) == {"sum": 6.5}
        assert browser.get("/sum", [("Content-Type", "text/plain")], "POST", b"1").status == 415
        assert browser.get("/pieces").body == b"one two three"
        away = browser.get("/away")
        assert away.status in (302, 303) and away.field("Location").endswith("/hello/again")
        assert browser.cookies == {"seen": "yes"}

        data = os.urandom(2 * MIB)
        answer = json.loads(browser.upload("/upload", {"note": "x"}, {"file": ("f", data)}).body)
        assert answer == {"name": "f", "size": len(data), "note": "x",
                          "sha256": hashlib.sha256(data).hexdigest()}
        assert browser.get("/file").body == download.read_bytes()
        part = browser.get("/file", [("Range", "bytes=5-9")])
        assert (part.status, part.body) == (206, download.read_bytes()[5:10])


# --- Django -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def project(tmp_path_factory, download):
    """A new Django project with its database and an administrator."""
    folder = tmp_path_factory.mktemp("project")

    def python(*arguments):
        subprocess.run([sys.executable, *arguments], cwd=folder, check=True, timeout=60,
                       capture_output=True, stdin=subprocess.DEVNULL,
                       env=environment({"DJANGO_SETTINGS_MODULE": "shop.settings",
                                        "DJANGO_SUPERUSER_PASSWORD": "a secret of Ada's"}))

    python("-m", "django", "startproject", "--settings=", "shop", ".")
    with open(folder / "shop" / "settings.py", "a", encoding="utf-8") as out:
        out.write("\nALLOWED_HOSTS = ['test']\nDEBUG = False\n")
    (folder / "shop" / "urls.py").write_text(f"""
from django.contrib import admin
from django.http import FileResponse, StreamingHttpResponse
from django.urls import path

def download(request):
    return FileResponse(open({str(download)!r}, "rb"), as_attachment=True)

def stream(request):
    return StreamingHttpResponse(b"piece %d\\n" % n for n in range(1000))

urlpatterns = [path("admin/", admin.site.urls), path("download", download), path("stream", stream)]
""")
    # Django serves static files itself only while DEBUG is on, unless it is told to.
    (folder / "shop" / "wsgi.py").write_text("""
import os
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

class StaticFiles(StaticFilesHandler):
    def serve(self, request):
        from django.contrib.staticfiles.views import serve
        return serve(request, self.file_path(request.path), insecure=True)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = StaticFiles(get_wsgi_application())
""")
    python("-c", """
import django
from django.core.management import call_command
django.setup()
call_command("migrate")
call_command("createsuperuser", interactive=False, username="ada", email="ada@example.org")
""")
    return folder


def test_django_serves_its_admin(host, project, download):
    server = host("shop.wsgi:application", chdir=project)
    with Browser(server) as browser:
        sent_away = browser.get("/admin/")
        assert sent_away.status == 302
        page = browser.get(sent_away.field("Location")).body
        form = {"username": "ada", "password": "a secret of Ada's", "next": "/admin/",
                "csrfmiddlewaretoken": hidden_field(page, "csrfmiddlewaretoken")}

        forged = browser.post("/admin/login/", {**form, "csrfmiddlewaretoken": "x" * 64})
        assert forged.status == 403
        wrong = browser.post("/admin/login/", {**form, "password": "guessed"})
        assert wrong.status == 200 and b"errornote" in wrong.body and \
            "sessionid" not in browser.cookies
        login = browser.post("/admin/login/", form)
        assert (login.status, login.field("Location")) == (302, "/admin/")
        assert "sessionid" in browser.cookies

        index = browser.get("/admin/")
        assert index.status == 200 and b"Site administration" in index.body
        users = browser.get("/admin/auth/user/")
        assert b"ada@example.org" in users.body

        token = hidden_field(browser.get("/admin/auth/group/add/").body, "csrfmiddlewaretoken")
        added = browser.post("/admin/auth/group/add/",
                             {"name": f"Söhne & {server.pid}", "csrfmiddlewaretoken": token})
        assert (added.status, added.field("Location")) == (302, "/admin/auth/group/")
        assert f"Söhne &amp; {server.pid}" in browser.get("/admin/auth/group/").body.decode()

        logout = browser.post("/admin/logout/", {"csrfmiddlewaretoken": token})
        assert logout.status in (200, 302)
        assert browser.get("/admin/").status == 302


def test_django_serves_files_and_streams(host, project, download):
    import django
    with Browser(host("shop.wsgi:application", chdir=project)) as browser:
        style = browser.get("/static/admin/css/base.css")
        in_package = os.path.join(os.path.dirname(django.__file__),
                                  "contrib/admin/static/admin/css/base.css")
        with open(in_package, "rb") as file:
            assert (style.status, style.body) == (200, file.read())
        unchanged = browser.get("/static/admin/css/base.css",
                                [("If-Modified-Since", style.field("Last-Modified"))])
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert browser.get("/static/nowhere.css").status == 404
        assert browser.get("/download").body == download.read_bytes()
        assert browser.get("/download", method="HEAD").body == b""
        assert browser.get("/stream").body == b"".join(b"piece %d\n" % n for n in range(1000))


# --- Mercurial ----------------------------------------------------------------------------------

def hg(folder, *arguments):
    """Mercurial as a user has it, with a configuration of its own."""
    done = subprocess.run(["hg", *map(str, arguments)], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60,
                          env=environment({"HGRCPATH": "", "HGUSER": "Ada", "HGPLAIN": "1"}))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(folder, name, data):
    (folder / name).write_bytes(data)
    hg(folder, "commit", "--addremove", "-m", f"add {name}")


@pytest.fixture
def repository(tmp_path):
    """One that anybody may push to."""
    folder = tmp_path / "served"
    folder.mkdir()
    hg(folder, "init")
    (folder / ".hg" / "hgrc").write_text("[web]\nallow-push = *\npush_ssl = False\n")
    commit(folder, "text", b"one line\n" * 1000)
    commit(folder, "noise", os.urandom(2 * MIB))
    return folder


def test_mercurial_clones_and_pushes(host, repository, tmp_path):
    server = host("hg_site:application", {"HG_REPOSITORY": str(repository), "HGRCPATH": ""})
    with Browser(server) as browser:
        page = browser.get("/file/tip/")
        assert page.status == 200 and b"noise" in page.body

    url, mine, other = f"http://127.0.0.1:{server.port}/", tmp_path / "mine", tmp_path / "other"
    hg(tmp_path, "clone", url, mine)
    assert (mine / "noise").read_bytes() == (repository / "noise").read_bytes()

    commit(mine, "small", b"a change\n")
    hg(mine, "push")
    commit(mine, "large", os.urandom(6 * MIB))  # a body that does not stay in memory
    hg(mine, "push")

    hg(tmp_path, "clone", url, other)
    assert (other / "large").read_bytes() == (mine / "large").read_bytes()
    nodes = [hg(folder, "log", "--template", "{node}\n") for folder in (repository, other)]
    assert len(nodes[0].split()) == 4 and nodes[0] == nodes[1]
