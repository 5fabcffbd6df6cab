"""Speech corpora: built-in ones, one file each, and the reader's own.

To add one to the package, write its file beside these (copy ``emodb.toml``). For recordings of your
own: `from_folder` and `from_table`.
"""

from ser.corpora.add import from_folder, from_table
from ser.corpora.base import EMOTIONS, Archive, ClipName, Corpus
from ser.corpora.registry import adopt, available, choose, get, labels, locate, names, scan
