//! Where a stream of bytes goes: stdout, or a file that is there only when it is whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use tokio::io::AsyncWrite;

use super::Usage;
use super::terminal::Terminal;

/// Tries to find a name for the unfinished file that nobody has.
const ATTEMPTS: u32 = 100;

/// An output that was opened.
pub(crate) enum Output {
    /// Standard output.
    Stdout(tokio::io::Stdout),
    /// A file beside the one asked for, which takes its place in the end.
    File {
        /// What is written to.
        file: tokio::fs::File,
        /// How to end it.
        unfinished: Unfinished,
    },
    /// A device or pipe, which nothing can take the place of.
    Device(tokio::fs::File),
}

impl Output {
    /// Opens the file, or stdout where there is none, unless that is a terminal.
    ///
    /// # Errors
    ///
    /// If stdout is a terminal, or the file cannot be written.
    pub(crate) fn open(path: Option<&Path>, terminal: &Terminal) -> anyhow::Result<Output> {
        let Some(path) = path else {
            if terminal.reader_is_person {
                let text = "a terminal is no place for a tar; add --output FILE or redirect stdout";
                return Err(Usage(anyhow::anyhow!(text)).into());
            }
            return Ok(Output::Stdout(tokio::io::stdout()));
        };
        Self::file(path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn file(path: &Path) -> io::Result<Output> {
        // A link is written through, not replaced.
        let target = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_path_buf(),
            found => found?,
        };
        match fs::metadata(&target) {
            Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(&target)?;
                return Ok(Output::Device(file.into()));
            }
            _ => {}
        }
        let (unfinished, file) = Unfinished::create(target)?;
        Ok(Output::File {
            file: file.into(),
            unfinished,
        })
    }

    /// The output is whole: the file takes its place.
    ///
    /// # Errors
    ///
    /// If it cannot. Then there is no file.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Output::Stdout(_) | Output::Device(_) => Ok(()),
            Output::File { unfinished, .. } => {
                let path = unfinished.target.clone();
                let finished = unfinished.finish();
                finished.with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}

/// A file that goes away unless it is finished.
#[derive(Debug)]
pub(crate) struct Unfinished {
    target: PathBuf,
    /// `None` once it is in its place.
    beside: Option<PathBuf>,
}

impl Unfinished {
    fn create(target: PathBuf) -> io::Result<(Unfinished, File)> {
        let name = target.file_name().ok_or(ErrorKind::InvalidFilename)?;
        let process = std::process::id();
        for attempt in 0..ATTEMPTS {
            let mut beside = std::ffi::OsString::from(".");
            beside.push(name);
            beside.push(format!(".{process}-{attempt}.part"));
            let beside = target.with_file_name(beside);
            match File::create_new(&beside) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    let beside = Some(beside);
                    return Ok((Unfinished { target, beside }, file));
                }
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(beside) = &self.beside {
            fs::rename(beside, &self.target)?;
        }
        self.beside = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(beside) = self.beside.take() {
            // What cannot be removed is at least not taken for a whole file.
            let _ = fs::remove_file(beside);
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Output::Stdout(stdout) => Pin::new(stdout).poll_write(cx, bytes),
            Output::File { file, .. } | Output::Device(file) => {
                Pin::new(file).poll_write(cx, bytes)
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Output::Stdout(stdout) => Pin::new(stdout).poll_flush(cx),
            Output::File { file, .. } | Output::Device(file) => Pin::new(file).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::cli::terminal::tests::captured;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    async fn write(path: &Path, finish: bool) {
        let (terminal, _) = captured();
        let mut output = Output::open(Some(path), &terminal).unwrap();
        output.write_all(b"new").await.unwrap();
        output.flush().await.unwrap();
        if finish {
            output.finish().unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_is_there_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        write(&path, false).await;
        assert_eq!(names(folder.path()), [""; 0]);
        write(&path, true).await;
        assert_eq!(names(folder.path()), ["a.tar"]);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[tokio::test]
    async fn a_failure_leaves_the_file_that_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        fs::write(&path, "old").unwrap();
        write(&path, false).await;
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.tar"]);
    }

    #[tokio::test]
    async fn links_are_written_through_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.tar"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("a.tar", &link).unwrap();
        write(&link, true).await;
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write(Path::new("/dev/null"), true).await;
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_terminal_gets_no_tar() {
        let (mut terminal, _) = captured();
        terminal.reader_is_person = true;
        let error = Output::open(None, &terminal).err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("--output"));
        let error = Output::open(Some(Path::new("/")), &terminal).err().unwrap();
        assert!(error.to_string().contains("cannot write /"), "{error}");
    }
}
