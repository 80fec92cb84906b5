//! `strata serve`

use std::path::PathBuf;

use clap::Args;
use strata::Listener;

/// `strata serve`
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Serve {
    /// Address to listen on, unix:///PATH, tcp://IP:PORT or fd://; repeat for more
    ///
    /// A socket is its owner's alone (mode 0600). TCP is for everybody on this machine, so prefer
    /// the socket; port 0 takes a free one. TCP addresses other than loopback ones need the three
    /// --tls options: who reaches the API may pull and delete images, and it asks for no password.
    /// fd:// takes the sockets of a systemd socket unit, to which the same applies.
    ///
    /// [default: unix://$XDG_RUNTIME_DIR/strata.sock; without it unix:///run/strata.sock for root,
    /// and unix://STORE.sock beside the store for others]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "STRATA_LISTEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) listen: Option<Vec<Listener>>,

    /// Answer to this host name over TCP, too; repeat for more
    ///
    /// Web pages can have names that lead here, so requests for a name other than localhost or an
    /// address of this machine are refused. Not needed with TLS.
    #[arg(
        long,
        value_name = "HOST",
        env = "STRATA_ALLOW_HOST",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) allow_host: Option<Vec<String>>,

    /// Certificate of this server, PEM, with the intermediate ones; makes TCP listeners TLS
    ///
    /// The three --tls options come together. Clients need a certificate of the authority in
    /// --tls-client-ca, as with `dockerd --tlsverify`. SIGHUP has the files read again.
    #[arg(
        long,
        value_name = "FILE",
        env = "STRATA_TLS_CERT",
        hide_env_values = true
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of this server, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "STRATA_TLS_KEY",
        hide_env_values = true
    )]
    pub(crate) tls_key: Option<PathBuf>,

    /// Certificate authorities of clients, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "STRATA_TLS_CLIENT_CA",
        hide_env_values = true
    )]
    pub(crate) tls_client_ca: Option<PathBuf>,
}
