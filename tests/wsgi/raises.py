def prepare():
    raise RuntimeError("no database\nat all")


prepare()
