//! What can be asked of one container: its last path segment and the method.

/// A request about one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerRoute {
    Inspect,
    Remove,
    Changes,
    Export,
    /// What a path in it is.
    Stat,
    /// An archive of a path.
    CopyOut,
    /// An archive to unpack at a path.
    CopyIn,
    Logs,
    /// What needs a process, or a life of its own.
    Process(Process),
}

/// What is asked of a container that would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Start,
    Restart,
    Stop,
    Kill,
    Pause,
    Unpause,
    Wait,
    Attach,
    Resize,
    Exec,
    Top,
    Stats,
    Rename,
    Update,
}

impl ContainerRoute {
    /// The request of this method and last segment; `None` if there is none. `DELETE` has no such segment
    /// and is not asked for here.
    pub(super) fn of(method: &str, verb: &str) -> Option<Self> {
        let route = match (method, verb) {
            ("GET", "json") => Self::Inspect,
            ("GET", "changes") => Self::Changes,
            ("GET", "export") => Self::Export,
            ("GET", "logs") => Self::Logs,
            ("HEAD", "archive") => Self::Stat,
            ("GET", "archive") => Self::CopyOut,
            ("PUT", "archive") => Self::CopyIn,
            _ => Self::Process(Process::of(method, verb)?),
        };
        Some(route)
    }
}

impl Process {
    fn of(method: &str, verb: &str) -> Option<Self> {
        let process = match (method, verb) {
            ("GET", "top") => Self::Top,
            ("GET", "stats") => Self::Stats,
            ("POST", "start") => Self::Start,
            ("POST", "restart") => Self::Restart,
            ("POST", "stop") => Self::Stop,
            ("POST", "kill") => Self::Kill,
            ("POST", "pause") => Self::Pause,
            ("POST", "unpause") => Self::Unpause,
            ("POST", "wait") => Self::Wait,
            ("POST", "attach") => Self::Attach,
            ("POST", "resize") => Self::Resize,
            ("POST", "exec") => Self::Exec,
            ("POST", "rename") => Self::Rename,
            ("POST", "update") => Self::Update,
            _ => return None,
        };
        Some(process)
    }
}
