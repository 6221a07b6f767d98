import gunicorn

gunicorn.SERVER = "undisclosed"
gunicorn.SERVER_SOFTWARE = "undisclosed"
