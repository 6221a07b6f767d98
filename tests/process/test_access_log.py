"""Every request makes exactly one access line, whatever became of it."""
import os
import re
import signal

from licorne import HELLO_MODULE
from load import Load
from waiting import wait_until

COMMON = re.compile(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                    r'"(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\S+) "(?P<referer>[^"]*)" '
                    r'"(?P<agent>[^"]*)"$')


def test_a_line_has_gunicorns_common_form(serve):
    server = serve(access_log=True)
    server.get("/target?a=b", [("Referer", "http://there/"), ("User-Agent", "tester 1.0")])
    server.stop()
    [line] = server.access_lines()
    found = COMMON.match(line)
    assert found, line
    assert found["request"] == "GET /target?a=b HTTP/1.1"
    assert (found["status"], found["bytes"]) == ("200", "3")
    assert (found["referer"], found["agent"]) == ("http://there/", "tester 1.0")


def test_a_client_cannot_forge_a_line_of_its_own(serve):
    server = serve(access_log=True)
    server.get("/", [("User-Agent", 'x" 200 1 "\x7f\xff')])
    server.get('/target?"quoted"')
    server.stop()
    assert len(server.access_lines()) == 2
    assert all(COMMON.match(line.replace('\\"', "'")) for line in server.access_lines()[1:])


def test_the_format_is_the_users(serve):
    server = serve("--access-logformat", "%(m)s %(U)s %(q)s %(s)s %(B)s %({x-one}i)s %({nope}i)s",
                   access_log=True)
    server.get("/target?q", [("X-One", "1")])
    server.stop()
    assert server.access_lines() == ["GET /target q 200 1 1 -"]


def test_access_lines_may_go_to_standard_output(serve):
    server = serve("--access-logfile", "-")
    server.get("/")
    wait_until(lambda: server.stdout.count("\n") == 1, 5, "one line on standard output")
    assert COMMON.match(server.stdout.strip())


def test_each_of_many_requests_makes_one_line(start):
    server = start(HELLO_MODULE, "-w", "2", access_log=True)
    with Load(server, connections=8) as load:
        load.wait_for_answers(2000)
    server.stop()
    assert load.failures == []
    assert len(server.access_lines()) == load.answered


def test_a_failed_request_makes_one_line(serve):
    server = serve(access_log=True)
    server.get("/fail")
    server.stop()
    assert [COMMON.match(line)["status"] for line in server.access_lines()] == ["500"]


def test_rotation_under_load_loses_and_doubles_no_line(start):
    server = start(HELLO_MODULE, "-w", "2", access_log=True)
    server.get("/")
    rotated = []
    with Load(server, connections=4) as load:
        for number in range(5):
            load.wait_for_answers(100)
            rotated.append(server.access_path.with_suffix(f".{number}"))
            os.rename(server.access_path, rotated[-1])
            server.send_signal(signal.SIGUSR1)
            wait_until(server.access_path.exists, 5, "the log is opened anew")
    server.stop()
    assert load.failures == []
    lines = [line for path in [*rotated, server.access_path]
             for line in path.read_text().splitlines()]
    assert len(lines) == load.answered + 1
    assert all(COMMON.match(line) for line in lines)
