"""Every setting, and what one sees of it: the same however it is set. The table below names each;
the last test asks the server itself whether one is missing."""
import fcntl
import functools
import json
import os
import pathlib
import re
import shlex
import socket
import ssl
import stat
import struct
import sys
import tempfile
import termios
import threading

import pytest

from client import Client
from daemon import Daemon
from licorne import Licorne, free_port, read_or_empty, run
from tls import Authority, TLSClient
from waiting import wait_until

TESTS = pathlib.Path(__file__).parent
IS_ROOT = os.geteuid() == 0

# What is served: it tells about the process that it runs in.
APP = """
import json, os, socket, struct, sys, threading
import extra  # in a folder of pythonpath

LOADED_BY = os.getpid()
TOGETHER = threading.Barrier(3)

def backlogs():
    for name, fd in opened():
        if name.startswith("socket:"):
            with socket.socket(fileno=os.dup(fd)) as s:
                if (s.family == socket.AF_INET
                        and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
                    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                    yield struct.unpack_from("I", info, 28)[0]

def opened():
    for fd in os.listdir("/proc/self/fd"):
        if os.path.lexists("/proc/self/fd/" + fd):
            yield os.readlink("/proc/self/fd/" + fd), int(fd)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        start_response("200 OK", [("Content-Length", str(os.path.getsize("page")))])
        return environ["wsgi.file_wrapper"](open("page", "rb"))
    if path == "/print":
        print("printed by the application", flush=True)
    if path == "/together":
        TOGETHER.wait(10)
    told = {
        "pid": os.getpid(), "loaded by": LOADED_BY, "cwd": os.getcwd(), "path": sys.path,
        "ids": [os.getuid(), os.getgid(), sorted(os.getgroups())], "env": dict(os.environ),
        "threads": environ["wsgi.multithread"], "processes": environ["wsgi.multiprocess"],
        "scheme": environ["wsgi.url_scheme"], "backlogs": list(backlogs()),
        "files": [name for name, _ in opened()], "first": environ["wsgi.input"].read(1).decode(),
        "environ": {key: value for key, value in environ.items() if isinstance(value, str)},
    }
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


# --- effects: each takes the running server that has the setting ----------------------------------

def told(world, path="/", fields=(), **request):
    response = world.get(path, fields, **request)
    assert response.status == 200, response
    return json.loads(response.body)


def tells(**facts):
    """What the application sees; spaces in names are underscores here."""
    def check(world):
        seen = told(world)
        for name, value in facts.items():
            assert seen[name.replace("_", " ")] == world.meant(value)
    return check


def scheme(expected, *fields, unix=False):
    """For a request with these fields; a client on the unix socket is trusted."""
    def check(world):
        with world.unix_client() if unix else world.client() as client:
            assert json.loads(client.get("/", fields).body)["scheme"] == expected
    return check


def environ_of_a_trusted_client(key, value, *fields):
    def check(world):
        with world.unix_client() as client:
            assert json.loads(client.get("/", fields).body)["environ"].get(key) == value
    return check


def answers(request, status, version=b"HTTP/1.1"):
    """To raw bytes."""
    def check(world):
        with world.client() as client:
            client.send(request + b"Connection: close\r\n\r\n")
            assert client.rest().startswith(b"%s %d " % (version, status))
    return check


def sees_method(sent, seen):
    def check(world):
        with world.client() as client:
            client.send(sent + b" / HTTP/1.1\r\nConnection: close\r\n\r\n")
            body = client.rest().partition(b"\r\n\r\n")[2]
            assert json.loads(body)["environ"]["REQUEST_METHOD"] == seen
    return check


def both(*checks):
    def check(world):
        for one in checks:
            one(world)
    return check


def field(name, value):
    return lambda world: check_equal(world.get().field(name), value)


def check_equal(seen, expected):
    assert seen == expected


def has_line(name, pattern, path="/"):
    """In a file of its folder, after a request."""
    def check(world):
        world.get(path)
        file = world.folder / name
        wait_until(lambda: re.search(pattern, file.read_text(), re.M), 10,
                   f"{pattern} in {file.read_text()}")
    return check


def syslog(pattern):
    def check(world):
        world.get("/seen-by-syslog")
        wait_until(lambda: any(re.search(pattern, packet) for packet in world.syslog.receive()), 10,
                   f"{pattern} in {world.syslog.packets[:5]}")
    return check


def no_access_line_in_syslog(world):
    has_line("access.log", "GET /not-for-syslog", "/not-for-syslog")(world)
    assert not any(b"not-for-syslog" in packet for packet in world.syslog.receive())


def metric(pattern):
    def check(world):
        world.get()
        wait_until(lambda: any(re.fullmatch(pattern, packet)
                               for packet in world.statsd.receive()), 10,
                   f"{pattern} in {world.statsd.packets[:9]}")
    return check


def listens_on_both(world):
    assert world.get().status == 200
    with world.unix_client() as client:
        assert client.get().status == 200


def mode(name, expected):
    return lambda world: check_equal(stat.S_IMODE(os.stat(world.folder / name).st_mode), expected)


def titles(name):
    def check(world):
        [worker] = world.wait_for_workers(1)
        for pid, role in ((world.pid, "master"), (worker, "worker")):
            assert read_or_empty(f"/proc/{pid}/cmdline").rstrip(b"\0").decode() \
                == f"licorne: {role} [{name}]"
    return check


def three_at_once(world):
    """Each waits for the others."""
    threads = [threading.Thread(target=world.get, args=("/together",)) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(15)
    assert "BrokenBarrierError" not in world.stderr


def workers(count):
    return lambda world: world.wait_for_workers(count)


def a_large_body_lies_there(world):
    seen = told(world, method="POST", body=b"x" * 2_000_000)
    assert seen["first"] == "x"
    assert any(name.startswith(str(world.folder / "uploads")) for name in seen["files"])


def too_large(world):
    assert world.get(method="POST", body=b"x" * 2_000_001).status == 413


def is_called_before_the_body_is_complete(world):
    with world.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nabc")
        assert json.loads(client.response().body)["first"] == "a"


def a_file_leaves(how):
    """sendfile(2) hands the kernel's own pages on: a client that reads late sees what was written
    into the file since. Bytes that the server has read and written stay as they were."""
    def check(world):
        page = world.folder / "site" / "page"
        page.write_bytes(b"old" * 10_000)
        with world.client() as client:
            client.send(b"GET /file HTTP/1.1\r\nHost: t\r\n\r\n")
            wait_until(lambda: waiting(client.socket) > 30_000, 10, "all of the response")
            with open(page, "r+b") as file:
                file.write(b"new" * 10_000)
            assert client.response().body[-3:] == how
    return check


def waiting(sock):
    """Bytes that have come and were not read."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"1234"))[0]


def pidfile(world):
    assert (world.folder / "pid").read_text() == f"{world.pid}\n"


def control(world):
    assert stat.S_ISSOCK(os.stat(world.folder / "control").st_mode)


def loaded_by_the_master(world):
    assert told(world)["loaded by"] == world.pid


def environment(**variables):
    def check(world):
        seen = told(world)["env"]
        assert {name: seen.get(name) for name in variables} == variables
    return check


def groups_of_nobody(world):
    assert told(world)["ids"][2] == sorted(os.getgrouplist("nobody", 1))


def encrypted(world):
    with world.client() as client:
        assert ("commonName", "localhost") in client.socket.getpeercert()["subject"][0]
    assert told(world)["scheme"] == "https"


def cipher(name):
    def check(world):
        with world.client() as client:
            assert client.socket.cipher()[0] == name
    return check


def demands_a_certificate(world):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with TLSClient(world.address, world.authority.context()) as client:
            client.get()
    encrypted(world)


def announced(status):
    """A PROXY header, which comes encrypted."""
    def check(world):
        with world.client() as client:
            client.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n"
                        b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            response = client.response()
            assert response.status == status
            if status == 200:
                assert json.loads(response.body)["environ"]["REMOTE_ADDR"] == "192.0.2.7"
    return check


def no_version_2(world):
    with world.client() as client:
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + LINE % b"" + b"\r\n")
        assert b" 200 " not in client.rest()


def logs(text):
    return lambda world: world.wait_for_log(text)


def has_no_meaning(world):
    """Accepted for Gunicorn's sake, without a word."""
    assert world.get().status == 200
    assert "[WARNING]" not in world.stderr


# --- the table ------------------------------------------------------------------------------------

class Setting:
    """`value` as a Python file has it, and the flag for the command line, if there is one; the
    group of settings that one server has, and what is `seen` of this one there; or the test that
    is the `proof`; or why it is `refused`."""

    def __init__(self, name, value, flag, group=None, seen=None, proof=None, refused=None,
                 root=False):
        self.name, self.value, self.flag = name, value, flag
        self.group, self.seen, self.proof, self.refused = group, seen, proof, refused
        self.root = root

    def arguments(self, meant):
        values = meant if isinstance(meant, list) else [meant]
        return [word for value in values for word in
                ([self.flag] if isinstance(value, bool) else [self.flag, str(value)])]

    def python(self, meant):
        return f"{self.name} = {meant!r}\n"

    def ini(self, meant):
        if isinstance(meant, list):
            return f"{self.name} = " + "\n    ".join(meant) + "\n"
        return f"{self.name} = {str(meant).lower() if isinstance(meant, bool) else meant}\n"


def group(name):
    """setting(NAME, VALUE, FLAG, SEEN): the settings of one server, which all can be together."""
    return functools.partial(in_group, name)


def in_group(name, setting, value, flag, seen, root=False):
    return Setting(setting, value, flag, name, seen, root=root)


def proved(name, value, flag, proof):
    return Setting(name, value, flag, proof=proof)


def refused(name, value, flag, why):
    return Setting(name, value, flag, refused=why)


shop, kiosk, vault = group("shop"), group("kiosk"), group("vault")
HTTP2 = "only HTTP/1 is spoken yet"
ASGI = "there is no asgi worker yet"
DIRTY = "there is no pool of dirty workers yet"
LINE = b"GET /%s HTTP/1.1\r\n"

SETTINGS = [
    # Config File
    proved("config", "other.py", "-c", "test_python_config.py::test_c_names_another_file"),
    proved("wsgi_app", "shop:application", None,
           "test_real_world.py::test_a_file_does_what_it_is_there_for"),

    # Server Socket
    shop("bind", ["127.0.0.1:{port}", "unix:{folder}/socket"], "-b", listens_on_both),
    shop("backlog", 7, "--backlog", tells(backlogs=[7])),

    # Worker Processes
    kiosk("workers", 2, "-w", both(workers(2), tells(processes=True))),
    shop("worker_class", "gunicorn.workers.gthread.ThreadWorker", "-k",
         both(logs("Using worker: gthread"), tells(threads=True))),
    shop("threads", 3, "--threads", three_at_once),
    proved("worker_connections", 3, "--worker-connections",
           "test_sharing.py::test_a_worker_with_no_room_left_takes_no_connection"),
    proved("max_requests", 100, "--max-requests", "test_signals.py::"
           "test_a_worker_that_reached_max_requests_is_replaced_and_fails_no_request"),
    proved("max_requests_jitter", 5, "--max-requests-jitter",
           "test_settings_effects.py::test_max_requests_jitter_is_another_number_for_each_worker"),
    proved("slow_request", 1, "--slow-request",
           "test_misbehaving.py::test_a_slow_request_is_shown_and_goes_on"),
    proved("max_worker_memory", "250M", "--max-worker-memory",
           "test_misbehaving.py::test_a_worker_that_grew_is_replaced_after_its_requests"),
    proved("max_worker_memory_hard", "250M", "--max-worker-memory-hard",
           "test_misbehaving.py::test_a_worker_beyond_the_hard_limit_is_killed"),
    proved("timeout", 1, "--timeout",
           "test_misbehaving.py::test_a_hung_worker_is_replaced_and_the_log_says_where_it_was"),
    proved("boot_timeout", 2, "--boot-timeout",
           "test_boot.py::test_a_worker_that_hangs_while_it_boots_is_aborted_and_tried_again"),
    proved("boot_stagger", 1, "--boot-stagger",
           "test_boot.py::test_workers_are_started_one_after_another"),
    proved("graceful_timeout", 1, "--graceful-timeout",
           "test_signals.py::test_a_request_that_takes_too_long_is_cut_at_graceful_timeout"),
    kiosk("keepalive", 0, "--keep-alive", field("Connection", "close")),
    proved("header_timeout", 1, "--header-timeout",
           "test_slow_clients.py::test_a_head_that_does_not_arrive_in_time_is_answered_with_408"),
    proved("body_timeout", 1, "--body-timeout",
           "test_slow_clients.py::test_a_body_that_stops_arriving_is_answered_with_408"),
    proved("body_min_rate", 100, "--body-min-rate",
           "test_slow_clients.py::test_a_body_that_comes_too_slowly_is_answered_with_408"),
    kiosk("request_buffering", False, "--no-request-buffering",
          is_called_before_the_body_is_complete),
    proved("write_timeout", 1, "--write-timeout",
           "test_gthread.py::test_a_client_that_never_reads_is_given_up_after_write_timeout"),
    proved("write_min_rate", 100, "--write-min-rate",
           "test_slow_clients.py::test_a_client_that_takes_its_answer_too_slowly_is_given_up"),

    # Security
    shop("limit_request_line", 200, "--limit-request-line",
         both(answers(LINE % (b"x" * 186), 200), answers(LINE % (b"x" * 187), 400))),
    shop("limit_request_fields", 8, "--limit-request-fields",
         both(answers(LINE % b"" + b"X: y\r\n" * 7, 200),
              answers(LINE % b"" + b"X: y\r\n" * 8, 431))),
    shop("limit_request_field_size", 60, "--limit-request-field_size",
         both(answers(LINE % b"" + b"X: %s\r\n" % (b"x" * 55), 200),
              answers(LINE % b"" + b"X: %s\r\n" % (b"x" * 56), 431))),
    shop("limit_request_body", 2_000_000, "--limit-request-body", too_large),

    # Debugging
    proved("reload", True, "--reload", "test_reload.py::test_a_changed_module_is_served"),
    proved("reload_engine", "poll", "--reload-engine",
           "test_reload.py::test_a_changed_module_is_served"),
    proved("reload_extra_files", ["pages/*.html"], "--reload-extra-file",
           "test_reload.py::test_further_files_and_patterns_are_watched"),
    proved("spew", True, "--spew", "test_paste.py::test_spew_prints_each_line"),
    proved("check_config", True, "--check-config",
           "test_start.py::test_check_config_loads_the_application_and_serves_nothing"),
    proved("print_config", True, "--print-config",
           "test_settings_effects.py::test_each_source_says_the_same"),

    # Server Mechanics
    kiosk("preload_app", True, "--preload", loaded_by_the_master),
    kiosk("sendfile", False, "--no-sendfile", a_file_leaves(b"old")),
    proved("reuse_port", True, "--reuse-port",
           "test_service.py::test_with_reuse_port_two_servers_share_an_address"),
    shop("chdir", "{folder}/site", "--chdir", tells(cwd="{folder}/site")),
    proved("daemon", True, "-D",
           "test_service.py::test_a_daemon_leaves_its_starter_and_its_terminal"),
    shop("raw_env", ["SHOP=a b", "DEBUG=0=1"], "-e", environment(SHOP="a b", DEBUG="0=1")),
    shop("pidfile", "{folder}/pid", "-p", pidfile),
    kiosk("worker_tmp_dir", "{folder}/uploads", "--worker-tmp-dir", has_no_meaning),
    vault("user", "nobody", "-u", lambda world: check_equal(told(world)["ids"][0], 65534),
          root=True),
    vault("group", 1, "-g", lambda world: check_equal(told(world)["ids"][1], 1), root=True),
    vault("initgroups", True, "--initgroups", groups_of_nobody, root=True),
    shop("umask", 0o027, "-m", mode("socket", 0o750)),
    shop("tmp_upload_dir", "{folder}/uploads", "--tmp-upload-dir", a_large_body_lies_there),
    shop("secure_scheme_headers", {"X-PROTO": "tls"}, None,
         both(scheme("https", ("X-Proto", "tls"), unix=True),
              scheme("http", ("X-Forwarded-Proto", "https"), unix=True))),
    shop("forwarded_allow_ips", "192.0.2.1", "--forwarded-allow-ips",
         scheme("http", ("X-Proto", "tls"))),
    proved("python", "/usr/bin/python3", "--python",
           "test_python.py::test_a_virtual_environment_is_entered"),
    shop("server_header", "stall/1", "--server-header", field("Server", "stall/1")),

    # Logging
    shop("accesslog", "{folder}/access.log", "--access-logfile",
         has_line("access.log", "/seen", "/seen")),
    shop("access_log_format", "%(m)s %(U)s says %(s)s", "--access-logformat",
         has_line("access.log", "^GET /formatted says 200$", "/formatted")),
    shop("disable_redirect_access_to_syslog", True, "--disable-redirect-access-to-syslog",
         no_access_line_in_syslog),
    shop("errorlog", "{folder}/error.log", "--error-logfile",
         both(has_line("error.log", r"\[INFO\] Starting licorne"),
              lambda world: check_equal((world.folder / "stderr").read_text(), ""))),
    shop("loglevel", "Debug", "--log-level", has_line("error.log", r"\[DEBUG\] ")),
    shop("capture_output", True, "--capture-output",
         has_line("error.log", "^printed by the application$", "/print")),
    proved("logger_class", "logs.Own", "--logger-class",
           "test_python_logging.py::test_a_logger_class_may_filter_and_format"),
    proved("logconfig", "logging.conf", "--log-config",
           "test_python_logging.py::test_logconfig_is_a_file_of_pythons_logging"),
    proved("logconfig_dict", {"version": 1}, None,
           "test_python_logging.py::test_logconfig_dict_gets_every_line"),
    proved("logconfig_json", "log.json", "--log-config-json",
           "test_python_logging.py::test_logconfig_json_and_an_ini_file"),
    shop("syslog", True, "--log-syslog", syslog(rb"Starting licorne")),
    shop("syslog_addr", "udp://127.0.0.1:{syslog}", "--log-syslog-to", syslog(rb"Listening at")),
    shop("syslog_prefix", "stall", "--log-syslog-prefix",
         syslog(rb"^<\d+>gunicorn\.stall\.error: ")),
    shop("syslog_facility", "local3", "--log-syslog-facility", syslog(rb"^<158>")),
    proved("enable_stdio_inheritance", True, "-R",
           "test_service.py::test_a_daemon_may_keep_its_output"),
    shop("statsd_host", "127.0.0.1:{statsd}", "--statsd-host", metric(rb".*requests:1\|c\|.*")),
    shop("statsd_prefix", "pre.fix", "--statsd-prefix", metric(rb"pre\.fix\.gunicorn\.workers:.*")),
    shop("dogstatsd_tags", "a:1,b", "--dogstatsd-tags", metric(rb".*\|#a:1,b")),
    shop("enable_backlog_metric", True, "--enable-backlog-metric",
         metric(rb".*gunicorn\.backlog:\d+\|h.*")),
    proved("log_file_mode", 0o660, "--log-file-mode",
           "test_permissions.py::test_a_new_log_file_has_its_mode_and_an_old_one_keeps_its_own"),
    proved("socket_mode", 0o660, "--socket-mode",
           "test_permissions.py::test_mode_user_and_group_of_a_socket_can_be_said"),
    proved("socket_user", 65534, "--socket-user",
           "test_permissions.py::test_mode_user_and_group_of_a_socket_can_be_said"),
    proved("socket_group", 33, "--socket-group",
           "test_permissions.py::test_mode_user_and_group_of_a_socket_can_be_said"),
    proved("real_ip_header", "X-Forwarded-For", "--real-ip-header",
           "test_real_ip.py::test_a_proxys_word_is_that_of_one_request_only"),
    proved("metrics_bind", "unix:{folder}/metrics", "--metrics-bind",
           "test_monitor.py::test_prometheus_finds_the_metrics_there"),

    # Process Naming
    shop("proc_name", "my stall", "-n", titles("my stall")),
    vault("default_proc_name", "vault", None, titles("vault")),

    # Python
    shop("pythonpath", "{folder}/more,{folder}/lib", "--pythonpath",
         lambda world: check_equal(told(world)["path"][:2],
                                   [f"{world.folder}/lib", f"{world.folder}/more"])),
    proved("paste", "shop.ini", "--paste",
           "test_paste.py::test_the_files_main_application_is_served"),
    proved("raw_paste_global_conf", ["a=b"], "--paste-global",
           "test_paste.py::test_another_one_can_be_named_and_gets_global_variables"),

    # Server Hooks
    *(proved(name, f"hooks.{name}", None, f"test_hooks.py::test_{proof}") for name, proof in {
        "nworkers_changed": "ttin_and_ttou_call_nworkers_changed",
        "on_starting": "the_hooks_of_a_life", "when_ready": "the_hooks_of_a_life",
        "pre_fork": "the_hooks_of_a_life", "post_fork": "the_hooks_of_a_life",
        "post_worker_init": "the_hooks_of_a_life", "worker_exit": "the_hooks_of_a_life",
        "child_exit": "the_hooks_of_a_life", "on_exit": "the_hooks_of_a_life",
        "on_reload": "a_reload_calls_its_hooks_in_the_master",
        "pre_exec": "pre_exec_is_called_before_an_upgrade",
        "pre_request": "requests_pass_through_their_hooks",
        "post_request": "requests_pass_through_their_hooks",
        "worker_int": "int_and_quit_call_worker_int",
        "worker_abort": "a_hung_worker_is_told_by_worker_abort"}.items()),
    proved("ssl_context", "hooks.ssl_context", None,
           "test_ssl_context.py::test_the_example_of_gunicorns_documentation"),

    # SSL, and what comes before a request
    vault("certfile", "{folder}/server.pem", "--certfile", encrypted),
    vault("keyfile", "{folder}/server.key", "--keyfile", encrypted),
    vault("ca_certs", "{folder}/ca.pem", "--ca-certs", encrypted),
    vault("cert_reqs", 2, "--cert-reqs", demands_a_certificate),
    vault("ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305", "--ciphers",
          cipher("ECDHE-ECDSA-CHACHA20-POLY1305")),
    vault("ssl_version", "TLSv1_2", "--ssl-version", logs("ssl_version is ignored")),
    proved("suppress_ragged_eofs", False, None,
           "test_tls.py::test_without_suppress_ragged_eofs_it_does_not"),
    kiosk("do_handshake_on_connect", True, "--do-handshake-on-connect", has_no_meaning),
    proved("handshake_timeout", 1, "--handshake-timeout",
           "test_tls.py::test_who_never_speaks_is_sent_away_in_time"),
    vault("proxy_protocol", "v1", "--proxy-protocol", both(announced(200), no_version_2)),
    proved("proxy_allow_ips", "192.0.2.1", "--proxy-allow-from",
           "test_proxy_protocol.py::test_who_may_not_announce_is_refused_but_may_speak_http"),

    # HTTP
    shop("permit_obsolete_folding", True, "--permit-obsolete-folding",
         answers(LINE % b"" + b"X: a\r\n b\r\n", 200)),
    shop("strip_header_spaces", True, "--strip-header-spaces",
         answers(LINE % b"" + b"X : a\r\n", 200)),
    shop("permit_unconventional_http_method", True, "--permit-unconventional-http-method",
         sees_method(b"X", "X")),
    shop("permit_unconventional_http_version", True, "--permit-unconventional-http-version",
         answers(b"GET / HTTP/2.7\r\n", 200, version=b"HTTP/2.7")),
    shop("casefold_http_method", True, "--casefold-http-method", sees_method(b"gEt", "GET")),
    shop("forwarder_headers", "REMOTE_USER", "--forwarder-headers",
         environ_of_a_trusted_client("HTTP_REMOTE_USER", "ann", ("REMOTE_USER", "ann"))),
    shop("header_map", "refuse", "--header-map", answers(LINE % b"" + b"A_B: c\r\n", 400)),
    kiosk("http_parser", "fast", "--http-parser", has_no_meaning),

    # What is not there
    refused("protocol", "uwsgi", "--protocol", "only http is spoken yet"),
    refused("uwsgi_allow_ips", "*", "--uwsgi-allow-from", "only http is spoken yet"),
    refused("http_protocols", "h2,h1", "--http-protocols", HTTP2),
    refused("http2_cleartext", "both", "--http2-cleartext", HTTP2),
    refused("http2_max_concurrent_streams", 7, "--http2-max-concurrent-streams", HTTP2),
    refused("http2_initial_window_size", 70000, "--http2-initial-window-size", HTTP2),
    refused("http2_max_frame_size", 20000, "--http2-max-frame-size", HTTP2),
    refused("http2_max_header_list_size", 70000, "--http2-max-header-list-size", HTTP2),
    refused("asgi_loop", "uvloop", "--asgi-loop", ASGI),
    refused("asgi_lifespan", "on", "--asgi-lifespan", ASGI),
    refused("asgi_disconnect_grace_period", 7, "--asgi-disconnect-grace-period", ASGI),
    refused("root_path", "/shop", "--root-path", ASGI),
    refused("dirty_apps", ["shop:App"], "--dirty-app", DIRTY),
    refused("dirty_workers", 2, "--dirty-workers", DIRTY),
    refused("dirty_timeout", 7, "--dirty-timeout", DIRTY),
    refused("dirty_threads", 2, "--dirty-threads", DIRTY),
    refused("dirty_graceful_timeout", 7, "--dirty-graceful-timeout", DIRTY),
    *(refused(name, f"hooks.{name}", None, DIRTY) for name in (
        "on_dirty_starting", "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit")),

    # Control
    shop("control_socket", "{folder}/control", "--control-socket", control),
    shop("control_socket_mode", 0o660, "--control-socket-mode", mode("control", 0o660)),
    kiosk("control_socket_disable", True, "--no-control-socket",
          lambda world: check_equal("Control socket" in world.stderr, False)),
]


# --- the servers ----------------------------------------------------------------------------------

WAYS = ["command line", "gunicorn.conf.py", "licorne.ini", "GUNICORN_CMD_ARGS"]
HOOKS = {"nworkers_changed": 3, "pre_fork": 2, "post_fork": 2, "worker_exit": 2, "child_exit": 2,
         "pre_request": 2, "post_request": 4, "ssl_context": 2, "dirty_post_fork": 2,
         "dirty_worker_exit": 2}


class Place:
    """A folder that anybody may enter, with all that the values of settings name."""

    def __init__(self, root, authority):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=root))
        self.folder.chmod(0o755)
        for name in ("site", "more", "lib", "uploads"):
            (self.folder / name).mkdir()
        (self.folder / "site" / "shop.py").write_text(APP)
        (self.folder / "more" / "extra.py").touch()
        (self.folder / "error.log").touch()
        for name in ("server.pem", "server.key", "ca.pem"):
            (self.folder / name).write_bytes((authority.folder / name).read_bytes())
        self.daemons = {name: Daemon(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
                        for name in ("syslog", "statsd")}
        self.names = {"folder": str(self.folder), "port": free_port(), **{
            name: daemon.socket.getsockname()[1] for name, daemon in self.daemons.items()}}

    def meant(self, value):
        """The value with the names of this place in it."""
        if isinstance(value, list):
            return [self.meant(each) for each in value]
        return value.format(**self.names) if isinstance(value, str) else value

    def set(self, settings, way):
        """Sets them in this way; (arguments, environment). What has no flag is in a file."""
        flags, ini, python = [], "[server]\n", ""
        for setting in settings:
            meant = self.meant(setting.value)
            python += setting.python(meant)
            if setting.flag and way in ("command line", "GUNICORN_CMD_ARGS"):
                flags += setting.arguments(meant)
            else:
                ini += setting.ini(meant)
        if way == "gunicorn.conf.py":
            (self.folder / way).write_text(python)
            return [], {}
        (self.folder / "licorne.ini").write_text(ini)
        if way == "GUNICORN_CMD_ARGS":
            return [], {way: shlex.join(flags)}
        return flags, {}


class World(Licorne):
    """A server with a group of settings, which were set in one way."""

    def __init__(self, name, way, place, authority):
        self.place, self.folder, self.authority = place, place.folder, authority
        self.syslog, self.statsd = place.daemons["syslog"], place.daemons["statsd"]
        self.settings = [each for each in SETTINGS if each.group == name]
        self.is_encrypted = name == "vault"
        if not IS_ROOT:
            self.settings = [each for each in self.settings if not each.root]
        arguments, env = place.set(self.settings, way)
        if name != "shop":
            (self.folder / "site" / "extra.py").touch()
            arguments += ["--chdir", str(self.folder / "site"),
                          "-b", place.meant("127.0.0.1:{port}")]
        super().__init__(*arguments, "shop", folder=self.folder, env=env, bind=False)
        self.address = ("127.0.0.1", place.names["port"])
        if name == "shop":
            self.stderr_path = self.folder / "error.log"

    def meant(self, value):
        return self.place.meant(value)

    def client(self, timeout=10):
        if not self.is_encrypted:
            return Client(self.address, timeout)
        own = (self.authority.folder / "client.pem", self.authority.folder / "client.key")
        context = self.authority.context(own)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose ciphers can be chosen
        return TLSClient(self.address, context)

    def unix_client(self):
        return Client(str(self.folder / "socket"))


@pytest.fixture(scope="module")
def root():
    with tempfile.TemporaryDirectory(prefix="licorne-", dir="/tmp") as root:
        os.chmod(root, 0o755)
        yield root


@pytest.fixture(scope="module")
def authority(root):
    authority = Authority(pathlib.Path(root) / "authority")
    authority.issue("server")
    authority.issue("client", names=())
    return authority


@pytest.fixture(scope="module")
def worlds(root, authority):
    """worlds(group, way): each is started once."""
    running = {}

    def world(name, way):
        if (name, way) not in running:
            running[name, way] = World(name, way, Place(root, authority), authority)
            running[name, way].wait_until_listening()
        return running[name, way]

    yield world
    try:
        for server in running.values():
            assert server.stop() == 0
    finally:
        for server in running.values():
            server.kill()
            for daemon in server.place.daemons.values():
                daemon.close()


# --- the tests ------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("setting", [
    pytest.param(each, id=each.name, marks=pytest.mark.skipif(
        each.root and not IS_ROOT, reason="only root can become somebody else"))
    for each in SETTINGS if each.seen])
def test_a_setting_has_its_effect(worlds, setting, way):
    setting.seen(worlds(setting.group, way))


def test_by_default_files_leave_by_sendfile(worlds):
    a_file_leaves(b"new")(worlds("shop", "licorne.ini"))


def printed(place, arguments=(), env=None):
    """{name: (value, origin)} of --print-config."""
    done = run("--python", sys.executable, "--print-config", *arguments, "shop",
               folder=place.folder, env={"PYTHONPATH": str(place.folder / "site"), **(env or {})})
    assert done.returncode == 0, done.stderr
    return {name: (value.strip(), origin) for name, value, origin in
            re.findall(r"^(\w+) += (.*) # (.*)$", done.stdout, re.M)}


@pytest.fixture
def place(root, authority):
    place = Place(root, authority)
    hooks = "".join(f"def {each.name}({', '.join('abcd'[:HOOKS.get(each.name, 1)])}): "
                    f"{'return b()' if each.name == 'ssl_context' else 'pass'}\n"
                    for each in SETTINGS if str(each.value).startswith("hooks."))
    (place.folder / "site" / "hooks.py").write_text(hooks)
    (place.folder / "site" / "logs.py").write_text(
        "from gunicorn.glogging import Logger\nclass Own(Logger): pass\n")
    (place.folder / "site" / "extra.py").touch()
    yield place
    for daemon in place.daemons.values():
        daemon.close()


# What cannot be set together with all others.
ALONE = ("config", "paste", "print_config", "python", "logconfig", "logconfig_json", "daemon")


@pytest.mark.parametrize("way", WAYS)
def test_each_source_says_the_same(place, way):
    """Every setting at once: what is printed depends on the way only in where it is from."""
    settings = [each for each in SETTINGS if not each.refused and each.name not in ALONE]
    arguments, env = place.set(settings, way)
    shown, defaults = printed(place, arguments, env), printed(place, ["-c", ""])
    for setting in settings:
        value, origin = shown[setting.name]
        meant = place.meant(setting.value)
        expected = {"user": "65534", "worker_class": "gthread",
                    "max_worker_memory": str(250 << 20),
                    "max_worker_memory_hard": str(250 << 20)}.get(setting.name, str(meant))
        if expected.startswith("hooks."):
            assert setting.name in value
        else:
            assert value == expected, setting.name
        assert value != defaults[setting.name][0], setting.name
        from_file = way if way in ("gunicorn.conf.py", "licorne.ini") else "licorne.ini"
        assert (way if setting.flag and "." not in way else from_file) in origin, setting.name


REFUSED = [each for each in SETTINGS if each.refused]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("settings", [REFUSED[::3], REFUSED[1::3], REFUSED[2::3]], ids="abc")
def test_what_is_not_there_is_refused_wherever_it_is_asked_for(place, way, settings):
    """Several at once, each by name and place, with the reason."""
    arguments, env = place.set(settings, way)
    done = run("--python", sys.executable, "--check-config", *arguments, "shop",
               folder=place.folder, env={"PYTHONPATH": str(place.folder / "site"), **env})
    assert done.returncode == 1 and done.stdout == ""
    for setting in settings:
        if setting.flag and way in ("command line", "GUNICORN_CMD_ARGS"):
            on = "on the command line" if way == "command line" else f"in {way}"
            where = rf"{setting.name} \({setting.flag} {on}\)"
        else:
            file = way if way == "gunicorn.conf.py" else "./licorne.ini"
            where = rf"{file}:\d+: {setting.name}"
        assert re.search(rf"^Error: {where}: not available in this version of Licorne: "
                         rf".*{setting.refused}", done.stderr, re.M), done.stderr
    assert done.stderr.count("not available") == len(settings)


def test_max_requests_jitter_is_another_number_for_each_worker(start, root, authority):
    place = Place(root, authority)
    (place.folder / "site" / "extra.py").touch()
    server = start("--max-requests", "3", "--max-requests-jitter", "40", "--chdir",
                   place.folder / "site", "shop")
    numbers, pids = [], []
    for _ in range(5):
        pids = server.wait_for_workers(1, without=pids)
        count = 0
        while f"[{pids[0]}] [INFO] Autorestarting worker after current" not in server.stderr:
            assert server.get().status == 200
            count += 1
        numbers.append(count)
    assert min(numbers) >= 3 and len(set(numbers)) > 1


def test_every_setting_is_in_the_table(place):
    """A new one has to show its effect here, or to name the test that does."""
    names = [each.name for each in SETTINGS]
    assert sorted(names) == sorted(set(names)) == sorted(printed(place, ["-c", ""]))


@pytest.mark.parametrize("setting", [pytest.param(each, id=each.name) for each in SETTINGS
                                     if each.proof])
def test_the_test_that_proves_a_setting_is_there_and_sets_it(setting):
    file, _, name = setting.proof.partition("::")
    text = (TESTS / file).read_text()
    assert f"\ndef {name}(" in text
    if file == "test_real_world.py":
        text += "".join(each.read_text() for each in (TESTS.parent / "real_world/conf").iterdir())
    assert re.search(rf"\b{setting.name}\b|(?<![\w-]){re.escape(str(setting.flag))}(?![\w-])", text)
