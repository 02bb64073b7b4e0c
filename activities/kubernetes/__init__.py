"""One cluster's API server: requests, caches fed by watches, ownership, the objects that a release may touch."""
