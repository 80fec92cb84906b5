//! `strata cp`, with docker's rules.
//!
//! Reading order: [`place`] (what is meant), then this file, then [`pack`] and [`unpack`] (local
//! files to and from a tar).

mod blocking;
mod local;
mod pack;
mod place;
mod unpack;

use std::path::PathBuf;

use anyhow::Context as _;
use strata::Engine;
use strata::types::{Error, FileKind};

use super::arguments::{Copy, Format};
use super::input::Input;
use super::output::Output;
use super::shown::Shown;
use super::terminal::{Terminal, printable};
use super::wording::Work;
use super::{Outcome, Usage};
use place::{Found, Side, Source, Target};

/// Bytes between the engine and the thread that reads or writes files.
const PIPE: usize = 256 * 1024;

/// Copies in the direction the arguments say.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Copy,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let follow = arguments.follow_link;
    let source = Side::of(&arguments.source);
    let destination = Side::of(&arguments.destination);
    let shown = Shown::of_stream(Work::Copy, Format::Text, arguments.quiet, terminal);
    let copied = match (source, destination) {
        (Side::Local(path), Side::Container(name, to)) => {
            let into = Inside {
                engine,
                name,
                shown: &shown,
            };
            match path {
                "-" => into.copy_in_stream(&to, terminal).await,
                path => into.copy_in(path, &to, follow).await,
            }
        }
        (Side::Container(name, from), Side::Local(path)) => {
            let out = Inside {
                engine,
                name,
                shown: &shown,
            };
            match path {
                "-" => out.copy_out_stream(&from, follow, terminal).await,
                path => out.copy_out(&from, path, follow, terminal).await,
            }
        }
        (Side::Local(_), Side::Local(_)) => {
            Err(usage("name a container on one side, CONTAINER:PATH"))
        }
        (Side::Container(..), Side::Container(..)) => Err(usage(
            "one side must be a local path; copy by way of a tar, `-`",
        )),
    };
    shown.conclude(copied, |()| serde_json::Value::Null, |()| String::new())?;
    Ok(Outcome::Done)
}

fn usage(text: &'static str) -> anyhow::Error {
    Usage(anyhow::anyhow!(text)).into()
}

/// A container to copy into or out of.
struct Inside<'a> {
    engine: &'a Engine,
    name: &'a str,
    shown: &'a Shown,
}

impl Inside<'_> {
    /// Extracts a tar from stdin.
    async fn copy_in_stream(&self, to: &str, terminal: &Terminal) -> anyhow::Result<()> {
        let input = Input::open(None, terminal).await?;
        let tar = self.shown.meter(None).around(input.reader);
        let copied = self
            .engine
            .copy_in(self.name, to, tar, self.shown.listener());
        Ok(copied.await?)
    }

    /// Copies a local file or directory.
    async fn copy_in(&self, path: &str, to: &str, follow: bool) -> anyhow::Result<()> {
        let source = local::source(path, follow);
        let source = source.with_context(|| format!("cannot copy {path}"))?;
        let (to, found) = self.destination(to).await?;
        let Target { folder, name } = place::target(&source, &to, found)?;
        let (tar, pipe) = blocking::checked_pipe(PIPE);
        let local = PathBuf::from(path);
        let packing = tokio::task::spawn_blocking(move || {
            pipe.run(|pipe| pack::pack(pipe, &local, follow, name.as_deref()))
        });
        let tar = self.shown.meter(None).around(tar);
        let copied = self
            .engine
            .copy_in(self.name, &folder, tar, self.shown.listener());
        copied.await?;
        packing.await?;
        Ok(())
    }

    /// What is at a path that is copied to, and its path where a link leads there.
    async fn destination(&self, to: &str) -> anyhow::Result<(String, Found)> {
        let Some(stat) = self.stat(to).await? else {
            return Ok((to.to_owned(), Found::Nothing));
        };
        if stat.kind != FileKind::Symlink || stat.link_target.is_empty() {
            return Ok((to.to_owned(), found(stat.kind)));
        }
        let there = self.stat(&stat.link_target).await?;
        let found = there.map_or(Found::Nothing, |there| found(there.kind));
        Ok((stat.link_target, found))
    }

    async fn stat(&self, path: &str) -> anyhow::Result<Option<strata::types::PathStat>> {
        match self.engine.stat_path(self.name, path).await {
            Ok(stat) => Ok(Some(stat)),
            // It may be the container that is missing.
            Err(strata::Error::Image(Error::NotFound(_))) => {
                self.engine.container(self.name).await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a tar to stdout.
    async fn copy_out_stream(
        &self,
        from: &str,
        follow: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let output = Output::open(None, terminal)?;
        let (from, _) = self.source(from, follow).await?;
        let output = self.shown.meter(None).around(output);
        self.engine.copy_out(self.name, &from, output).await?;
        Ok(())
    }

    /// Copies to a local file or directory.
    async fn copy_out(
        &self,
        from: &str,
        path: &str,
        follow: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let (from, source) = self.source(from, follow).await?;
        let found = local::found(path).with_context(|| format!("cannot copy to {path}"))?;
        let target = place::target(&source, path, found)?;
        let folder = PathBuf::from(&target.folder);
        anyhow::ensure!(folder.is_dir(), "there is no directory {}", target.folder);
        let top = unpack::Top {
            name: target.name,
            is_in_tar: !source.contents_only,
        };
        let (tar, pipe) = tokio::io::duplex(PIPE);
        let tar_end = blocking::Blocking::new(pipe);
        let unpacking = tokio::task::spawn_blocking(move || unpack::unpack(tar_end, &folder, &top));
        let tar = self.shown.meter(None).around(tar);
        let copied = self.engine.copy_out(self.name, &from, tar).await;
        // Dropping the writer ends the thread's input, also after a failure.
        let copied = copied.map(drop);
        let unpacked = unpacking.await?;
        if let Err(error) = copied {
            // The engine's writer fails when the thread has stopped: then the thread says why.
            if let (strata::Error::Output(_), Err(why)) = (&error, unpacked) {
                return Err(why).with_context(|| format!("cannot copy to {path}"));
            }
            return Err(error.into());
        }
        let skipped = unpacked.with_context(|| format!("cannot copy to {path}"))?;
        for path in skipped {
            let path = printable(&path.to_string_lossy());
            terminal.notice(format_args!(
                "strata: {path} is a device or pipe, and was left out"
            ));
        }
        Ok(())
    }

    /// What is at a path that is copied from, and its path where a link is followed.
    async fn source(&self, from: &str, follow: bool) -> anyhow::Result<(String, Source)> {
        let mut from = from.to_owned();
        let mut stat = self.engine.stat_path(self.name, &from).await?;
        if follow && stat.kind == FileKind::Symlink && !stat.link_target.is_empty() {
            // The copy has the name that was asked for; the link's target is only where it is.
            let name = stat.name;
            from = stat.link_target;
            stat = self.engine.stat_path(self.name, &from).await?;
            stat.name = name;
        }
        let is_directory = stat.kind == FileKind::Directory;
        let contents_only = is_directory && place::means_contents(&from);
        let source = Source {
            name: stat.name,
            is_directory,
            contents_only,
        };
        Ok((from, source))
    }
}

fn found(kind: FileKind) -> Found {
    match kind {
        FileKind::Directory => Found::Directory,
        _ => Found::File,
    }
}
