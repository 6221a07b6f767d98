"""What `module:application` can name."""


def answer(text):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [text.encode()]

    return application


application = answer("default")
other = answer("other")
nothing = None
number = 7


def factory(*args, **kwargs):
    return answer("%r %r" % (args, sorted(kwargs.items())))


def strict(one):
    return answer(repr(one))


def gives_nothing():
    return None


def broken_inside():
    return len(7)
