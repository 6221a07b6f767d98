"""What people do with Bottle: routes with parts, JSON both ways, uploads, static files."""
import hashlib
import os

import bottle

app = bottle.Bottle()


@app.get("/hello/<name>")
def hello(name):
    return f"Hello, {name}!\n"


@app.post("/sum")
def add_up():
    return {"sum": sum(request_json()["numbers"])}


def request_json():
    if bottle.request.json is None:
        bottle.abort(415, "not JSON")
    return bottle.request.json


@app.post("/upload")
def upload():
    file = bottle.request.files.get("file")
    data = file.file.read()
    return {"name": file.raw_filename, "size": len(data), "note": bottle.request.forms.get("note"),
            "sha256": hashlib.sha256(data).hexdigest()}


@app.get("/pieces")
def pieces():
    yield "one "
    yield "two "
    yield "three"


@app.get("/file")
def file():
    return bottle.static_file(os.path.basename(os.environ["DOWNLOAD"]),
                              root=os.path.dirname(os.environ["DOWNLOAD"]))


@app.get("/away")
def away():
    bottle.response.set_cookie("seen", "yes")
    bottle.redirect("/hello/again")
