"""KgCLUE, question answering over a knowledge base: data and metrics."""
