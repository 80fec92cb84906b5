//! Who a container's user is, by its own `/etc/passwd` and `/etc/group`.

use strata_oci::layer::NodeKind;

use crate::{
    Error, Result, Store,
    rootfs::{Contents, Root, Span, spans, zeros},
};

/// The largest `passwd` or `group` read, in bytes: those of large sites have thousands of
/// lines of about 60.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Numbers of the user and group that `user` means: `user[:group]`, each by name or
/// number. Without group it is the user's own, or root's.
///
/// # Errors
/// [`Error::InvalidArgument`] if a name is in neither file; as the store's reads.
pub(super) async fn owner<S: Store>(store: &S, root: &Root, user: &str) -> Result<(u64, u64)> {
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (user, ""),
    };
    let passwd = file(store, root, b"/etc/passwd").await?;
    let number = user.parse().ok();
    // name:password:uid:gid:…
    let line = lines(&passwd).find_map(|fields| {
        let uid: u64 = fields.get(2)?.parse().ok()?;
        let gid: u64 = fields.get(3)?.parse().ok()?;
        let is_it = fields.first() == Some(&user) || number == Some(uid);
        is_it.then_some((uid, gid))
    });
    let (uid, own) = match (line, number) {
        (Some(line), _) => line,
        (None, Some(number)) => (number, 0),
        (None, None) if user.is_empty() => (0, 0),
        (None, None) => {
            return Err(Error::InvalidArgument(format!(
                "unable to find user {user}: no matching entries in passwd file"
            )));
        }
    };
    if group.is_empty() {
        return Ok((uid, own));
    }
    if let Ok(gid) = group.parse() {
        return Ok((uid, gid));
    }
    let groups = file(store, root, b"/etc/group").await?;
    // name:password:gid:…
    let gid = lines(&groups).find_map(|fields| {
        let gid = fields.get(2)?.parse().ok()?;
        (fields.first() == Some(&group)).then_some(gid)
    });
    match gid {
        Some(gid) => Ok((uid, gid)),
        None => Err(Error::InvalidArgument(format!(
            "unable to find group {group}: no matching entries in group file"
        ))),
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

/// The text of a file; empty if there is none, or a very large one.
async fn file<S: Store>(store: &S, root: &Root, path: &[u8]) -> Result<String> {
    let Ok(path) = root.tree.resolve(path, true) else {
        return Ok(String::new());
    };
    let (content, sparse) = match root.tree.get(&path).map(|node| node.kind) {
        Some(NodeKind::File {
            content, sparse, ..
        }) if content.size <= MAX_FILE_BYTES => (content, sparse),
        _ => return Ok(String::new()),
    };
    let mut bytes = Vec::new();
    let mut contents = Contents::new(store, root);
    for span in spans(content, sparse.as_ref()) {
        match span {
            Span::Zeros(count) => bytes.extend(zeros(count).flatten()),
            Span::Stored(stored) if stored.size > 0 => {
                contents.seek(stored).await?;
                let mut remaining = stored.size;
                while remaining > 0 {
                    let piece = contents.piece(remaining).await?;
                    remaining = remaining.saturating_sub(piece.len() as u64);
                    bytes.extend(piece);
                }
            }
            Span::Stored(_) => {}
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
