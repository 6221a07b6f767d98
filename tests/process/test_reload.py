"""`reload`: what an author sees who changes files while the server runs."""
import shutil
import time

import pytest

from licorne import HELLO_MODULE, run
from waiting import wait_until

APP = """
import part
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [part.text]
"""


@pytest.fixture(params=["sync", "gthread"])
def worker(request):
    return ["--threads", "2"] if request.param == "gthread" else []


@pytest.fixture(params=["inotify", "poll"])
def engine(request):
    return request.param


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "part.py").write_text("text = b'one'\n")
    return folder


def change(path, text):
    """As most editors do: a new file takes the old one's name."""
    draft = path.with_name(f".{path.name}.swp")
    draft.write_text(text)
    draft.replace(path)


def wait_for_answer(server, text):
    wait_until(lambda: server.get("/").body == text, 15, f"the answer {text}")


def test_a_changed_module_is_served(start, project, engine, worker):
    server = start("--reload", "--reload-engine", engine, "--chdir", project, *worker, "app")
    wait_for_answer(server, b"one")
    assert "Reloader is on. Use in development only!" in server.stderr
    if engine == "poll":
        time.sleep(0.1)
    change(project / "part.py", "text = b'two'\n")
    wait_for_answer(server, b"two")
    assert f"Worker reloading: {project / 'part.py'} modified" in server.stderr
    (project / "part.py").write_text("text = b'three'\n")
    wait_for_answer(server, b"three")


def test_backups_and_logs_beside_the_code_do_not_count(start, project):
    server = start("--reload", "--chdir", project, "--access-logfile", project / "access.log",
                   "app")
    wait_for_answer(server, b"one")
    for name in ("part.py~", ".part.py.swp", "4913", "#part.py#", "other.txt", "unused.py"):
        (project / name).write_text("x")
    time.sleep(1.5)
    server.get("/")
    time.sleep(0.5)
    assert "Worker reloading" not in server.stderr


def test_a_broken_module_keeps_the_old_workers_and_shows_the_traceback_to_browsers(
        start, project, worker):
    server = start("--reload", "--chdir", project, *worker, "app")
    wait_for_answer(server, b"one")
    change(project / "part.py", "text = nonsense\n")
    server.wait_for_log("Not reloaded: the new workers cannot boot")

    def page():
        answer = server.get("/", [("Accept", "text/html,*/*")])
        return answer if answer.status == 500 else None
    shown = wait_until(page, 10, "the traceback")
    assert b"NameError: name 'nonsense' is not defined" in shown.body
    assert b"part.py\", line 1" in shown.body
    assert server.get("/").body == b"one"  # a program gets what still works
    change(project / "part.py", "text = b'mended'\n")
    wait_for_answer(server, b"mended")
    assert server.get("/", [("Accept", "text/html")]).body == b"mended"


@pytest.mark.parametrize("text, message", [
    ("text = (\n", b"SyntaxError"),
    ("import missing_neighbour\ntext = b''\n", b"No module named 'missing_neighbour'"),
])
def test_an_application_that_is_broken_at_the_start_is_shown_and_watched(
        start, project, worker, text, message):
    (project / "part.py").write_text(text)
    server = start("--reload", "--chdir", project, *worker, "app")
    wait_until(lambda: message in server.get("/").body, 10, "the traceback")
    assert server.get("/").status == 500
    assert "native module" not in server.stderr
    time.sleep(0.5)  # nobody types faster than the master begins to watch
    if b"missing_neighbour" in message:
        change(project / "missing_neighbour.py", "")
        wait_for_answer(server, b"")
    else:
        change(project / "part.py", "text = b'mended'\n")
        wait_for_answer(server, b"mended")


def test_further_files_and_patterns_are_watched(start, project):
    (project / "pages").mkdir()
    (project / "pages" / "a.html").write_text("a")
    (project / "app.py").write_text("""
import glob
names = " ".join(sorted(glob.glob("pages/*"))).encode()
def application(environ, start_response):
    start_response("200 OK", [])
    return [names]
""")
    server = start("--reload", "--reload-extra-file", "pages/*.html", "--chdir", project, "app")
    wait_for_answer(server, b"pages/a.html")
    (project / "pages" / "b.html").write_text("b")
    wait_for_answer(server, b"pages/a.html pages/b.html")
    (project / "pages" / "c.txt").write_text("c")
    time.sleep(1)
    assert server.get("/").body == b"pages/a.html pages/b.html"
    (project / "pages" / "a.html").write_text("changed")
    wait_for_answer(server, b"pages/a.html pages/b.html pages/c.txt")


def test_many_changes_at_once_are_one_reload(start, project):
    server = start("--reload", "--chdir", project, "app")
    wait_for_answer(server, b"one")
    for number in range(20):
        change(project / "part.py", f"text = b'{number}'\n")
        time.sleep(0.02)
    wait_for_answer(server, b"19")
    time.sleep(0.5)
    assert server.stderr.count("Worker reloading") <= 3


def test_modules_that_are_imported_later_are_watched_too(start, project):
    (project / "app.py").write_text("""
def application(environ, start_response):
    import late
    start_response("200 OK", [])
    return [late.text]
""")
    (project / "late.py").write_text("text = b'one'\n")
    server = start("--reload", "--chdir", project, "app")
    wait_for_answer(server, b"one")
    time.sleep(1.5)
    change(project / "late.py", "text = b'two'\n")
    wait_for_answer(server, b"two")


def test_a_native_module_is_watched(start, tmp_path):
    module = tmp_path / "mine.so"
    shutil.copy(HELLO_MODULE, module)
    server = start("--reload", module)
    assert server.get("/").status == 200
    before = server.workers()
    copy = tmp_path / "new.so"
    shutil.copy(HELLO_MODULE, copy)
    copy.replace(module)
    server.wait_for_workers(1, without=before)
    assert server.get("/").status == 200


def test_a_wrong_engine_is_refused():
    done = run("--reload-engine", "magic", "--check-config", HELLO_MODULE)
    assert done.returncode == 1
    assert "'magic' is none of auto, poll, inotify" in done.stderr


@pytest.fixture
def package(project):
    """The part is a package, in a folder of its own."""
    (project / "part.py").unlink()
    folder = project / "part"
    folder.mkdir()
    (folder / "__init__.py").write_text("text = b'one'\n")
    return folder


def test_a_folder_that_goes_and_comes_back_later_is_watched_again(start, project, package):
    server = start("--reload", "--chdir", project, "app")
    wait_for_answer(server, b"one")
    wait_until(lambda: shutil.rmtree(package, ignore_errors=True) or
               "Not reloaded" in server.stderr, 15, "a reload without the package")
    time.sleep(1.5)  # it has given up looking for the folder
    package.mkdir()
    (package / "__init__.py").write_text("text = b'two'\n")
    wait_for_answer(server, b"two")
    change(package / "__init__.py", "text = b'three'\n")
    wait_for_answer(server, b"three")


def test_a_missing_package_is_awaited(start, project):
    (project / "part.py").unlink()
    server = start("--reload", "--chdir", project, "app", wait=False)
    server.wait_for_log("No module named 'part'")
    time.sleep(0.5)
    (project / "part").mkdir()
    time.sleep(0.5)
    (project / "part" / "__init__.py").write_text("text = b'one'\n")
    wait_for_answer(server, b"one")


def test_a_module_that_comes_before_anybody_looks_is_not_missed(start, project, engine):
    (project / "part.py").unlink()
    (project / "app.py").write_text(APP.replace("import part", """
import pathlib
try:
    import part
except ImportError:
    pathlib.Path("part.py").write_text("text = b'came quickly'")
    raise
"""))
    server = start("--reload", "--reload-engine", engine, "--chdir", project, "app")
    wait_for_answer(server, b"came quickly")
    server.wait_for_log(f"Worker reloading: {project / 'part.py'} modified")
    time.sleep(1.5)
    assert server.stderr.count("Worker reloading") == 1


@pytest.mark.parametrize("spec, name", [("app", "app.py"), ("shop.main:app", "shop/main.py"),
                                        ("shop.app", "shop/app/__init__.py")])
def test_an_application_that_is_not_there_yet_is_awaited(start, tmp_path, engine, spec, name):
    (tmp_path / "shop").mkdir()
    server = start("--reload", "--reload-engine", engine, "--chdir", tmp_path, spec, wait=False)
    server.wait_for_log("No module named")
    time.sleep(1)
    (tmp_path / "unrelated.txt").write_text("no source")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("""
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"it is there"]
app = application
""")
    wait_for_answer(server, b"it is there")


def test_a_link_or_a_folder_that_is_exchanged_is_a_change(start, project, package):
    package.rename(project / "v1")
    shutil.copytree(project / "v1", project / "v2")
    shutil.copytree(project / "v1", project / "v3")
    for name in ("v2", "v3"):
        (project / name / "__init__.py").write_text(f"text = b'{name}'\n")
    package.symlink_to("v1")
    server = start("--reload", "--chdir", project, "app")
    wait_for_answer(server, b"one")
    (project / "new").symlink_to("v2")
    (project / "new").rename(package)
    wait_for_answer(server, b"v2")
    package.rename(project / "away")
    (project / "v3").rename(package)
    wait_for_answer(server, b"v3")
