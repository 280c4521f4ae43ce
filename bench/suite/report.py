def write(r, b): pass
