ABOUT = "x"


def add_options(p):
    pass


def run(o, s):
    return []
