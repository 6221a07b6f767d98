"""Runs a command line as a tutorial has it: by a shell, in a folder of its own, with the ports
and absolute paths of its text replaced by ones that are free."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from client import Client
from licorne import INTERPRETER, PROGRAM, ROOT, Licorne, environment, free_port
from waiting import wait_until

TEXTS = ROOT / "tests" / "real_world"
OURS = PROGRAM.with_name("licorne-gunicorn")

# What tutorials have and a test cannot use: a virtual environment's programs, the folder of the
# site, the system's folders, and well-known ports.
FOREIGN = re.compile(r"(?P<programs>/home/(?:\w+/){1,2}\w*env/bin/|/usr/bin/(?=gunicorn))"
                     r"|(?P<site>/home/\w+/\w+)"
                     r"|(?<![\w.])/(?:\w+/){0,2}(?P<folder>log|run|certs|private|tmp)/"
                     r"|(?<=:)(?P<port>80|443|4000|5000|8000|8001|8080|8125|8443)\b")


class Place:
    """A machine of its own, as far as paths and ports go."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.site = self.root / "site"
        self.ports = {}
        shutil.copytree(TEXTS / "site", self.site)
        for name in ("bin", "log/gunicorn", "run/gunicorn", "certs", "private", "tmp"):
            (self.root / name).mkdir(parents=True)
        for name in ("gunicorn", "licorne-gunicorn", "licorne"):
            (self.root / "bin" / name).symlink_to(OURS if "gunicorn" in name else PROGRAM)

    def port(self, text):
        return self.ports.setdefault(int(text), free_port())

    def adapted(self, text):
        """The same text with this machine's paths and ports, unless it has them already."""
        if str(self.root) in text:
            return text

        def own(found):
            if found["programs"]:
                return ""
            if found["site"]:
                return str(self.site)
            return str(self.port(found["port"])) if found["port"] \
                else f"{self.root / found['folder']}/"
        return FOREIGN.sub(own, text)

    def configuration(self, name, as_name="gunicorn.conf.py"):
        path = self.site / as_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.adapted((TEXTS / "conf" / name).read_text()))

    def environment(self, changes):
        path = f"{self.root / 'bin'}:{os.path.dirname(INTERPRETER)}:{os.environ['PATH']}"
        return environment({"PATH": path, **changes})

    def shell(self, line, env, out, err, **options):
        """A process that the shell has become, as `exec` of start scripts has it."""
        return subprocess.Popen(["sh", "-c", f"exec {line}"], cwd=self.site,
                                env=self.environment(env), stdin=subprocess.DEVNULL, stdout=out,
                                stderr=err, **options)


class Site(Licorne):
    """The server that such a line starts."""

    def __init__(self, place, line, env=(), address=None, **options):
        # pylint: disable=super-init-not-called
        self.place = place
        self.stdout_path, self.stderr_path = place.root / "stdout", place.root / "stderr"
        line = place.adapted(line)
        env = {name: place.adapted(value.replace("{port}", str(free_port())))
               for name, value in dict(env).items()}
        if not (address or place.ports or "PORT" in env):
            # The default address may be in use here.
            env["GUNICORN_CMD_ARGS"] = " ".join((f"--bind 127.0.0.1:{place.port(8000)}",
                                                 env.get("GUNICORN_CMD_ARGS", "")))
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = place.shell(line, env, out, err, **options)
        self.pid = self.process.pid
        self.seen = {self.pid}
        self.address = address or ("127.0.0.1",
                                   int(env.get("PORT") or next(iter(place.ports.values()))))

    def wait_until_serving(self):
        def is_serving():
            assert self.process.poll() is None, \
                f"it ended with {self.process.returncode}:\n{self.stderr}"
            try:
                Client(self.address).close()
                return True
            except OSError:
                return False
        wait_until(is_serving, 20, f"a server at {self.address}")
        return self

    def told(self, path="/", fields=()):
        """What the application says about itself."""
        response = self.get(path, fields)
        assert response.status == 200, response
        return json.loads(response.body)


def deployment(name):
    return (TEXTS / "deploy" / name).read_text()


def procfile(name):
    """The web process of a Procfile."""
    return re.search(r"^web: (.+)$", deployment(name), re.M)[1]


def dockerfile(name):
    """What a container of this image runs, and its environment."""
    text = deployment(name)
    command = re.findall(r"^(?:CMD|ENTRYPOINT) (.+)$", text, re.M)[-1]
    if command.startswith("["):
        command = shlex.join(json.loads(command))
    env = {name: value.strip('"') for name, value in
           re.findall(r"^ENV (\w+)[= ](.+)$", text, re.M)}
    return command.removeprefix("exec "), env


def compose(service):
    """The command of one service of compose.yml."""
    text = re.search(rf"^  {service}:\n(?:    .+\n|      .+\n)*?    command: (.+)$",
                     deployment("compose.yml"), re.M)[1]
    return shlex.join(json.loads(text)) if text.startswith("[") else text


def unit(name, key):
    """A value of a unit file, its continued lines joined."""
    text = deployment(name).replace("\\\n", " ")
    return re.search(rf"^{key}=(.+)$", text, re.M)[1]
