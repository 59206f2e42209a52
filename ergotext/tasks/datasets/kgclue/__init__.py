"""KgCLUE: questions about a knowledge base, answered, scored and held against their confidence."""
