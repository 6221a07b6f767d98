"""Mercurial's web interface for the repository that HG_REPOSITORY names."""
import os

from mercurial.hgweb import hgweb

application = hgweb(os.environ["HG_REPOSITORY"].encode())
