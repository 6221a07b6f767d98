from teller import application, create_app

app = application
