"""Serves the application that APPLICATION names (module:attribute) with the standard library's
checker of the WSGI protocol between it and the server: either one's fault is an AssertionError."""
import importlib
import os
from wsgiref.validate import validator

_module, _, _name = os.environ["APPLICATION"].partition(":")
application = validator(getattr(importlib.import_module(_module), _name))
