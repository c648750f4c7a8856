"""One file an architecture: the module and nothing else. `zoo.catalog` names them."""
