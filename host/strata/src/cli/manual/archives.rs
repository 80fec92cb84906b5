//! Commands that read and write archives.

/// `strata save --help`
pub(crate) const SAVE: &str = "\
Examples:
  strata save -o alpine.tar alpine:3.22
  strata save alpine ghcr.io/org/app:1.2 | zstd > images.tar.zst
  strata save --platform linux/amd64 --platform linux/arm64 -o app.tar app:1

The archive is an OCI image layout that `docker load` can read, too. The same images always give
the same bytes. The file is there only when it is whole. With --format json and --output the line
on stdout is `result`, with `path` and `size`, or `error`.";

/// `strata load --help`
pub(crate) const LOAD: &str = "\
Examples:
  strata load -i images.tar
  zstdcat images.tar.zst | strata load
  strata load --platform linux/arm64 -i app.tar

Reads archives of `strata save`, `docker save`, `podman save` and `skopeo copy`, compressed or not.
What is stored was compared with its digest, and names are set last: an archive that turns out bad
leaves nothing.
With --format json every line is one object; the last is `result`, an array with the `name` and
`id` of each image, or `error`.";

/// `strata import --help`
pub(crate) const IMPORT: &str = "\
Examples:
  strata import rootfs.tar.zst base:1
  strata import https://example.org/rootfs.tar.gz base:1 --change 'CMD [\"/bin/sh\"]'
  strata export box | strata import - flat:1 --message 'all in one layer'

Instructions: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME
and WORKDIR. The tar may be compressed with gzip, zstd, bzip2 or xz. Prints the ID of the image;
with --format json the last line is `result` with the ID, or `error`.";
