"""The HTTP surface: where a request's token is read, what is refused how, and the middleware that does it."""
