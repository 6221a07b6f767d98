"""What people do with Flask: streams, uploads, downloads, sessions, pages for errors."""
import hashlib
import os
import pathlib
import time

from flask import Flask, abort, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = "not one"


@app.get("/stream")
def stream():
    """Three pieces. After each it waits until the file that the query names has grown."""
    signal = pathlib.Path(request.args["signal"])

    def wait_for(size):
        deadline = time.monotonic() + 20
        while signal.stat().st_size < size:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody has seen the piece before")
            time.sleep(0.01)

    @stream_with_context
    def pieces():
        for n in range(3):
            yield f"piece {n} for {request.args['name']}\n"
            wait_for(n + 1)

    return app.response_class(pieces(), mimetype="text/plain")


@app.post("/upload")
def upload():
    file = request.files["file"]
    data = file.read()
    return {"name": file.filename, "size": len(data), "note": request.form["note"],
            "sha256": hashlib.sha256(data).hexdigest()}


@app.post("/raw")
def raw():
    """Reads the stream itself, in the ways that a file has."""
    first = request.stream.readline()
    digest, size = hashlib.sha256(first), len(first)
    while data := request.stream.read(100_000):
        digest.update(data)
        size += len(data)
    return {"first": first.decode(), "size": size, "sha256": digest.hexdigest()}


@app.get("/download")
def download():
    return send_file(os.environ["DOWNLOAD"], download_name="data.bin", as_attachment=True,
                     conditional=True)


@app.get("/count")
def count():
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])


@app.get("/fail")
def fail():
    raise ZeroDivisionError("in the view")


@app.get("/forbidden")
def forbidden():
    abort(403)


@app.errorhandler(403)
def page_for_403(error):
    return "<h1>Not for you</h1>", 403
