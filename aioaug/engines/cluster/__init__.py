"""Workers on other machines: the clusters of Dask and Ray."""
