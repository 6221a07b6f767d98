"""A guest book: a small Flask application as people write them. `./dev run` serves it, and so does

    licorne --chdir examples/flask page:app
"""
import datetime
import os
import platform

from flask import Flask, redirect, render_template, request, url_for

app = Flask(__name__)

# Each worker has a list of its own; a real application would use a database.
entries = []
NAME_LIMIT, TEXT_LIMIT, ENTRY_LIMIT = 40, 280, 50


@app.get("/")
def page():
    return render_template(
        "page.html",
        entries=reversed(entries),
        server=request.environ["SERVER_SOFTWARE"],
        python=platform.python_version(),
        worker=os.getpid(),
        name_limit=NAME_LIMIT,
        text_limit=TEXT_LIMIT,
    )


@app.post("/entries")
def sign():
    name = request.form.get("name", "").strip()[:NAME_LIMIT]
    text = request.form.get("text", "").strip()[:TEXT_LIMIT]
    if not name or not text:
        return "A name and a text, please.\n", 400
    entries.append((datetime.datetime.now(), name, text))
    del entries[:-ENTRY_LIMIT]
    return redirect(url_for("page"), code=303)


@app.get("/hello/<name>")
def hello(name):
    return f"Hello, {name}!\n", {"Content-Type": "text/plain; charset=utf-8"}
