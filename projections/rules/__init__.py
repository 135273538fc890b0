"""The shipped rules: policies with parameters in limits."""
