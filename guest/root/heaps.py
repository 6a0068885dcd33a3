# Real programs with heaps that are swapped: Python objects and an SQLite database in memory. Fills them, waits until
# the file of its argument appears, and verifies everything.
import hashlib
import os
import sqlite3
import sys
import time

OBJECTS = 15_000
ROWS = 6_000


def name(i):
    return hashlib.md5(str(i).encode()).hexdigest()


objects = {name(i): [i, str(i) * 8, {"next": name(i + 1)}] for i in range(OBJECTS)}
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE page (id INTEGER PRIMARY KEY, name TEXT, content TEXT)")
database.executemany(
    "INSERT INTO page VALUES (?, ?, ?)", ((i, name(i), name(i + 1) + " words" * 100) for i in range(ROWS))
)
database.execute("CREATE INDEX by_name ON page (name)")

while not os.path.exists(sys.argv[1]):
    time.sleep(0.1)

for i in range(OBJECTS):
    if objects[name(i)] != [i, str(i) * 8, {"next": name(i + 1)}]:
        sys.exit(f"object {i} is not what it was")
if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
    sys.exit("the database is damaged")
for i in range(0, ROWS, 7):
    row = database.execute("SELECT id, content FROM page WHERE name = ?", (name(i),)).fetchone()
    if row != (i, name(i + 1) + " words" * 100):
        sys.exit(f"row {i} is not what it was")
print(f"{OBJECTS} objects and {ROWS} rows verified")
