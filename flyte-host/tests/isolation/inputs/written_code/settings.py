VALUE = "as written"
