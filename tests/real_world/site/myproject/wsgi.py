from teller import application
