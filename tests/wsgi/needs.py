import surely_not_installed

application = surely_not_installed.app
