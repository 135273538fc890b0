"""The lockouts view: what an account may not do, since when and until when."""
