"""What Python code of a Gunicorn site imports: configuration files, loggers, custom applications.

Licorne's own, and small: the server itself is not written in Python. In the server's processes
this package is found before any other of its name.
"""
version_info = (26, 1, 0)  # the release whose behaviour is offered
__version__ = ".".join(map(str, version_info))

SERVER = "licorne"  # another value, set by a configuration file, becomes the Server header
SERVER_SOFTWARE = "%s/%s" % (SERVER, __version__)
