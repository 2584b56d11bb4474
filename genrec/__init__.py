"""genrec: recommending with language models, by writing the next item's name.

>>> import genrec
>>> data = genrec.read("ml-latest-small/")
>>> model = genrec.create("genrec").fit(data.train, validation=data.validation)
>>> model.recommend([["Toy Story (1995)", "Heat (1995)"]], k=10)
"""

__version__ = "0.1.0"
