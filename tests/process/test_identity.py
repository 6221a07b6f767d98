"""Under Gunicorn's name the program is Gunicorn to every script that looks."""
import pytest

from licorne import HELLO_MODULE, PROGRAM, read_or_empty, run


@pytest.fixture(params=["gunicorn", "licorne-gunicorn"])
def gunicorn(request, tmp_path):
    program = tmp_path / request.param
    program.symlink_to(PROGRAM)
    return program


def test_the_version_and_errors_are_gunicorns(gunicorn):
    done = run("--version", program=gunicorn)
    assert (done.returncode, done.stdout) == (0, "gunicorn (version 26.1.0)\n")
    done = run("--nope", program=gunicorn)
    assert done.returncode == 2
    assert done.stderr == ("usage: gunicorn [OPTIONS] [APP_MODULE]\n"
                           "gunicorn: error: unrecognized arguments: --nope\n")


def test_log_titles_header_and_environ_say_gunicorn(start, gunicorn, tmp_path):
    (tmp_path / "tells.py").write_text("""
def application(environ, start_response):
    start_response("200 OK", [])
    return [environ["SERVER_SOFTWARE"].encode()]
""")
    server = start("--chdir", tmp_path, "tells", program=gunicorn)
    assert "Starting gunicorn 26.1.0" in server.stderr
    assert read_or_empty(f"/proc/{server.pid}/cmdline").startswith(b"gunicorn: master [tells]")
    assert server.get("/").field("Server") == "gunicorn"
    assert server.get("/").body == b"gunicorn/26.1.0"


def test_the_build_has_the_name_too():
    assert run("--version", program=PROGRAM.with_name("licorne-gunicorn")).stdout.startswith(
        "gunicorn (version")


def test_otherwise_it_is_licorne(start):
    server = start(HELLO_MODULE)
    assert server.get("/").field("Server") == "licorne"
    assert "Starting licorne " in server.stderr
