function examples() {}
