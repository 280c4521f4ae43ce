"""The bench beside the peers: the same work by Tidegate and by what one would pick instead, in one run."""
