"""The commands of the command line, one module each.

The functions here only declare options and print results; ``ergotext.tasks`` does the work.
``console`` has what all commands share (output files, exit codes, signals), ``options`` the shared
options.
"""
