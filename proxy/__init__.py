"""The request's path: the only package that speaks HTTP. Start reading at pipeline.py."""
