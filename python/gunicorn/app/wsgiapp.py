"""The application that the command line or `wsgi_app` names."""
import sys

from gunicorn.app.base import Application


class WSGIApplication(Application):
    callable = None

    @classmethod
    def _of_server(cls, cfg):
        """server.app, in a process of the server."""
        application = cls.__new__(cls)
        application.cfg, application.usage, application.prog = cfg, None, None
        application.app_uri = cfg.wsgi_app
        application.logger = None
        return application

    def load(self):
        from gunicorn import util

        return util.import_app(self.app_uri)


def run(prog=None):
    """`python -m gunicorn`: the server, with this Python."""
    from gunicorn.app.base import execute

    execute(sys.argv[1:])


if __name__ == "__main__":
    run()
