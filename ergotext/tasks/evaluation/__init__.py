"""Questions of a file answered, scored and held against their confidence."""
