"""As much of scikit-learn as the guides' apps use, on three flowers.

The real one takes three times as long to import as all that is tested. It is used by
the tests of those apps with a `Tester`, and of the example as it is.
"""
