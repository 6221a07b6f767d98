from teller import application as app
