//! Commands on containers.

/// `strata create --help`
pub(crate) const CREATE: &str = "\
Examples:
  strata create --name box alpine
  strata create -e LANG=C -w /srv -l team=web app:1 serve --port 80

The container is never run: it is a place to read an image's files and to change some of them, see
`strata cp` and `strata commit`. Prints its ID. What stands after the image is the command of the
container, options too; an image without a command needs one.";

/// `strata ps --help`
pub(crate) const PS: &str = "\
Examples:
  strata ps
  strata rm $(strata ps --quiet)
  strata ps --format json

SIZE is that of the files that were changed.";

/// `strata cp --help`
pub(crate) const CP: &str = "\
Examples:
  strata cp box:/etc/os-release .
  strata cp site/. box:/srv/www
  strata cp box:/var/log - | tar -t
  tar -c conf | strata cp - box:/etc

As with `docker cp`: into a directory that exists the copy goes under its own name, else it gets
the name of the destination. `/.` at the end of SOURCE means the contents of the directory. What is
copied in belongs to root, what is copied out to you. A local path with `:` is written ./a:b.";

/// `strata diff --help`
pub(crate) const DIFF: &str = "\
Examples:
  strata diff box
  strata diff --format json box

Letters are docker's: A added, C changed, D deleted.";

/// `strata commit --help`
pub(crate) const COMMIT: &str = "\
Examples:
  strata commit box app:2
  strata commit -a 'Ada <ada@example.org>' -m 'new site' -c 'CMD [\"serve\"]' box app:2

What was changed in the container becomes a layer on its image; the same changes always give the
same layer. Prints the ID of the image. For instructions see `strata import --help`.";

/// `strata export --help`
pub(crate) const EXPORT: &str = "\
Examples:
  strata export -o box.tar box
  strata export box | tar -t

The file is there only when it is whole.";

/// `strata rm --help`
pub(crate) const RM: &str = "\
Examples:
  strata rm box
  strata rm $(strata ps --quiet)

Removes containers with what was changed in them. Images are removed by `strata rmi`.";
