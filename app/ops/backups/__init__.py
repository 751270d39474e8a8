"""Backups: made, put into stores, proven, and brought back; a map of the rooms, each by its files.

Made: `backup` leads; `dumping` runs pg_dump, `contents` counts and sums rows in the same snapshot, `pipes` compress and
encrypt, `room` looks at the disk, `patience` ends what hangs, `leftovers` settles what was killed.
Kept: `stores` are a folder and a bucket (`s3`), `copying` brings files from the one to the other, `reading` gives them
back checked, `catalog` and `rescan` write what is known of them from runs and from the `inventory` of the stores,
`expiry` deletes, `downloads` takes out, `place_checks` tries the places.
Proven: `verify` leads; `copies` tells whether a file is ours and whole, `unpacking` and `programs` are pg_restore's,
`scratch` databases are filled and dropped, `examination` judges what is in them.
Brought back: `restore` and `rollback` lead; `choice` finds the backup, `swap` exchanges the names, `legacy` is what
the live database leaves to the next, `putaway` lists and drops what was put away.
Beside the data: `configuration` and `configuration_files` are bundles of settings and keys; `drill` recovers for real
in a `trial` installation.
"""
