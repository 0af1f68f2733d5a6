"""Where model servers come from: the command line, or Kubernetes."""
