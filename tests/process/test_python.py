"""Python applications where people keep them: frameworks, virtual environments, other folders."""
import subprocess

import pytest

from licorne import INTERPRETER, PACKAGES, ROOT, need

pytestmark = pytest.mark.usefixtures("both_kinds")


def test_the_flask_example_is_served(start):
    need("flask")
    server = start("--pythonpath", PACKAGES, "--chdir", ROOT / "examples" / "flask", "page:app")
    with server.client() as client:
        assert b"Nobody has signed yet." in client.get("/").body
        signed = client.get("/entries", [("Content-Type", "application/x-www-form-urlencoded")],
                            "POST", b"name=Ada&text=It+works+%3Cwell%3E")
        assert (signed.status, signed.field("Location")) == (303, "/")
        page = client.get("/").body
        assert b"It works &lt;well&gt;" in page and b"Ada" in page
        style = client.get("/static/page.css")
        assert style.status == 200
        assert style.body == (ROOT / "examples/flask/static/page.css").read_bytes()
        assert client.get("/nowhere").status == 404


@pytest.mark.parametrize("how", ["--python", "VIRTUAL_ENV"])
def test_a_virtual_environment_is_entered(start, tmp_path, how):
    venv = tmp_path / "venv"
    subprocess.run([INTERPRETER, "-m", "venv", "--without-pip", venv], check=True)
    [packages] = (venv / "lib").glob("python3.*/site-packages")
    (packages / "only_here.py").write_text("word = 'from the virtual environment'\n")
    (tmp_path / "mine.py").write_text("""
import sys, only_here
def application(environ, start_response):
    body = f"{only_here.word} {sys.prefix}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
""")
    if how == "--python":
        server = start("--python", venv / "bin" / "python3", "--chdir", tmp_path, "mine")
    else:
        server = start("--python", "", "--chdir", tmp_path, "mine", env={"VIRTUAL_ENV": str(venv)})
    assert server.get("/").body.decode() == f"from the virtual environment {venv}"


def test_the_server_runs_from_any_folder_and_by_a_link(start, tmp_path):
    (tmp_path / "mine.py").write_text("""
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
""")
    assert start("mine", cwd=tmp_path).get("/").body == b"ok"


def test_a_unix_socket_is_served_and_removed_at_the_end(start, tmp_path):
    (tmp_path / "mine.py").write_text("""
def application(environ, start_response):
    body = repr((environ["REMOTE_ADDR"], "REMOTE_PORT" in environ)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
""")
    path = tmp_path / "socket"
    server = start("-b", f"unix:{path}", "--chdir", tmp_path, "mine", bind=False)
    server.address = str(path)
    assert server.get("/").body == b"('', False)"
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize("path, body", [("/fork?raise", b"1"), ("/fork?return", b"0"),
                                        ("/fork?start", b"1"), ("/fork_later", b"0begun")])
def test_a_forked_process_never_answers_in_its_parents_place(serve, path, body):
    server = serve()
    with server.client() as client:
        response = client.get(path, [("Connection", "close")])
        assert (response.status, response.body) == (200, body)
        assert client.rest() == b""
    server.wait_for_log("A process that the application had forked came back")
    assert server.get("/").status == 200
