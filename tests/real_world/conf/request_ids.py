import gunicorn
import uuid

gunicorn.SERVER = ""
gunicorn.SERVER_SOFTWARE = ""


def pre_request(worker, req):
    req.headers.append(("X-REQUEST-ID", str(uuid.uuid4())))
