"""Modules under the names that models recorded by earlier versions import."""
