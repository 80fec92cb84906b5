//! What `--help` teaches below the options: examples first, then what is not obvious.

mod archives;
mod containers;

pub(crate) use archives::{IMPORT, LOAD, SAVE};
pub(crate) use containers::{COMMIT, CP, CREATE, DIFF, EXPORT, PS, RM};

/// `strata --help`
pub(crate) const STRATA: &str = "\
Examples:
  strata pull alpine                      fetch an image
  strata images                           see what is here
  strata save -o alpine.tar alpine        take it elsewhere
  strata serve                            let the docker CLI use it:
  docker context create strata --docker host=unix://$XDG_RUNTIME_DIR/strata.sock
  docker --context strata pull alpine

Settings:
  Each setting can be given in three places; the first that has it wins:
    1. an option                          --parallel-layers 8
    2. an environment variable            STRATA_PARALLEL_LAYERS=8
    3. the settings file                  parallel-layers = 8
  The name is the same everywhere. Lists are repeated options, commas in the environment, and
  arrays in the file; a list replaces the one of a lower place as a whole. An unknown name in the
  file is an error.

  # ~/.config/strata/config.toml, every key optional
  store = \"/srv/strata\"
  listen = [\"unix:///run/user/1000/strata.sock\", \"tcp://127.0.0.1:2375\"]
  allow-host = [\"build.lan\"]
  tls-cert = \"/etc/strata/cert.pem\"
  tls-key = \"/etc/strata/key.pem\"
  tls-client-ca = \"/etc/strata/ca.pem\"
  platform = \"linux/amd64\"
  mirror = [\"docker.io=http://127.0.0.1:5000\"]
  insecure-registry = [\"registry.lan:5000\"]
  ca = [\"/etc/ssl/lan.pem\"]
  allow-registry = [\"docker.io\", \"ghcr.io\", \"registry.lan:5000\"]
  allow-unsafe-redirects = false
  parallel-layers = 8
  verify-diff-ids-first = false
  memory-limit = \"512MiB\"
  total-memory-limit = \"4GiB\"
  compute-limit = 60
  stall-limit = 60
  connections = 2048
  component = \"/opt/strata/engine.wasm\"
  log = \"info\"

Exit codes:
  0 done   1 failed   2 wrong usage or settings   130, 143 ended by SIGINT, SIGTERM
  `strata check` has two more: 3 all that was damaged is repaired   4 something is damaged
  A server that a signal stopped in good order ends with 0.

`strata COMMAND --help` has examples for each command.";

/// `strata completion --help`
pub(crate) const COMPLETION: &str = "\
Examples:
  source <(strata completion bash)                    in this shell
  strata completion bash > ~/.local/share/bash-completion/completions/strata
  strata completion fish > ~/.config/fish/completions/strata.fish";

/// `strata check --help`
pub(crate) const CHECK: &str = "\
Examples:
  strata check                            read everything again
  strata check --quick                    only sizes, documents and names
  strata check --repair                   fetch what is damaged or missing
  strata check --format json | jq '.result.faults'

It may run while a server uses the store. Credentials are those `docker login` has stored.

Exit codes:
  0 clean   3 everything found was repaired   4 something is damaged   1 the check itself failed";

/// `strata serve --help`
pub(crate) const SERVE: &str = "\
Examples:
  strata serve
  strata serve --store /srv/strata --mirror docker.io=http://127.0.0.1:5000
  strata serve --listen tcp://127.0.0.1:0
  strata serve --listen tcp://0.0.0.0:2376 \\
      --tls-cert cert.pem --tls-key key.pem --tls-client-ca ca.pem

Once it answers requests it prints one line per address on stdout:
  listening on unix:///run/user/1000/strata.sock
and then, for the docker CLI, the line that makes it use the first of them.

A request with an Origin, or for a host name that is not this machine's, comes from a web page: TCP
listeners refuse it. --allow-host adds names.

With TLS a client needs a certificate of its own, as Docker's clients have it under
DOCKER_TLS_VERIFY=1 in DOCKER_CERT_PATH. SIGHUP has the three files read again, for connections
that are made afterwards; if they do not fit together, those read before stay in force.

SIGTERM or SIGINT ends it: no new connections, up to 10 seconds for running requests, then the
store is closed. A pull that does not finish in time continues where it was next time. A second
signal ends it at once; what is complete is safe then, too.";

/// `strata pull --help`
pub(crate) const PULL: &str = "\
Examples:
  strata pull alpine
  strata pull ghcr.io/org/app:1.2 --platform linux/arm64
  strata pull alpine@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
  strata pull app --platform linux/amd64 --platform linux/arm64
  strata pull --all-platforms app         all of it, to push it elsewhere whole
  strata pull --all-tags localhost:5000/app
  echo \"$TOKEN\" | strata pull --username me --password-stdin registry.lan/app

An interrupted pull is continued by the next one. What is already here is never fetched again.

Credentials are those of `docker login`: $DOCKER_AUTH_CONFIG, else $DOCKER_CONFIG/config.json or
~/.docker/config.json with its credential helpers.

With --format json every line on stdout is one object with one key: `resolved`, `blob`, `retry`,
`warning`, `completed`; the last line is `result`, an array of what was pulled, or `error`. A pull
that a signal ended has neither.";

/// `strata push --help`
pub(crate) const PUSH: &str = "\
Examples:
  strata push registry.lan/app:1
  strata push --all-tags localhost:5000/app
  strata push --platform linux/arm64 registry.lan/app:1
  echo \"$TOKEN\" | strata push --username me --password-stdin registry.lan/app:1

What the registry has is not sent again. Credentials and --format json are as with `strata pull`.
Where not all platforms of an image are here, the one that is here is pushed alone, and a line
says so.";

/// `strata images --help`
pub(crate) const IMAGES: &str = "\
Examples:
  strata images
  strata images 'ghcr.io/org/*'
  strata images --filter dangling=true --quiet
  strata images --filter label=team=web --filter until=24h
  strata images --format json

Filters; all given must hold:
  reference=PATTERN     names that match; several: any of them
  label=KEY[=VALUE]     with this label
  label!=KEY[=VALUE]    without this label
  dangling=BOOL         true: without a name; false: with one
  before=IMAGE          built before that image
  since=IMAGE           built after that image
  until=TIME            here since before: 24h, 1h30m, 2026-01-31, 2026-01-31T12:00:00Z or seconds
                        since 1970; a time without a zone is UTC

With --format json the output is one array with an object per image, newest first.";

/// `strata inspect --help`
pub(crate) const INSPECT: &str = "\
Examples:
  strata inspect alpine
  strata inspect alpine ghcr.io/org/app:1.2
  strata inspect --platform linux/arm64 alpine
  strata inspect alpine | jq -r '.[0].Config.Env[]'

The output is one JSON array in the shape of `docker image inspect`, or of `docker container
inspect` where there is no image of that name. What is missing is
named on stderr and make the command fail; the others are shown nevertheless.";

/// `strata history --help`
pub(crate) const HISTORY: &str = "\
Examples:
  strata history alpine
  strata history --no-trunc --format json alpine

The newest step comes first. `<missing>` stands for the ID of a step that was built elsewhere.";

/// `strata tag --help`
pub(crate) const TAG: &str = "\
Examples:
  strata tag alpine:3.22 alpine:stable
  strata tag 4bcff63911fc registry.lan/base:1";

/// `strata rmi --help`
pub(crate) const RMI: &str = "\
Examples:
  strata rmi alpine:3.22
  strata rmi --force 4bcff63911fc
  strata rmi $(strata images --quiet --filter dangling=true)

Removing a name removes the image only when it was the last one; what no other image needs of it
is deleted with it.";

/// `strata prune --help`
pub(crate) const PRUNE: &str = "\
Examples:
  strata prune
  strata prune --all --force
  strata prune --all --filter until=720h --filter label!=keep

Removes images without a name (with --all: every image no container uses), then every layer and
partial download that nothing refers to. Filters: label, label!, until, dangling; see
`strata images --help`.

It asks first. Where nobody can answer, as in a script, --force is required.";
