"""Save runs to disk and resume them with identical results.

``file`` stores records atomically, ``records`` converts the state of a run, and ``saving`` decides
what is saved and checks that a resumed run is the same.

>>> et.sample(energy, "mh", checkpoint="run.ckpt", resume=True)
"""
