"""The exceptions that extensions catch. The server itself answers what is wrong with a request."""


class ParseException(Exception):
    pass


class NoMoreData(IOError):
    pass


class ConfigurationProblem(ParseException):
    code = 500


class InvalidRequestLine(ParseException):
    code = 400


class InvalidRequestMethod(ParseException):
    pass


class InvalidHTTPVersion(ParseException):
    pass


class InvalidHeader(ParseException):
    pass


class InvalidHeaderName(ParseException):
    pass


class InvalidChunkSize(IOError):
    pass


class ChunkMissingTerminator(IOError):
    pass


class LimitRequestLine(ParseException):
    pass


class LimitRequestHeaders(ParseException):
    code = 431


class InvalidProxyLine(ParseException):
    code = 400


class ForbiddenProxyRequest(ParseException):
    code = 403


class InvalidSchemeHeaders(ParseException):
    code = 400
