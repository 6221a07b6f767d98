"""The smallest Flask application, for bench/run.py."""
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, world!\n"
