//! What must be in the store of one worker's: an operation that was cut may have happened or not, and nothing else may.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// What a name may point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    /// The image of this digest.
    Is(String),
    /// An image that was made here, but nobody was told its digest.
    Made,
}

impl State {
    fn admits(&self, seen: Option<&str>) -> bool {
        match (self, seen) {
            (Self::Absent, None) | (Self::Made, Some(_)) => true,
            (Self::Is(digest), Some(seen)) => digest == seen,
            _ => false,
        }
    }
}

/// A container and what was copied into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Container {
    /// Whether it certainly exists, nothing is under way in it, and all of its files are known.
    pub(crate) certain: bool,
    /// Whether it may be gone, or never was.
    pub(crate) doubtful: bool,
    /// Whether it takes too much of everything to look at it.
    pub(crate) spoiled: bool,
    /// The image it was made of.
    pub(crate) image: String,
    /// The seeds a file may have been made of; none, if it may not be there.
    pub(crate) files: BTreeMap<String, Vec<Option<u64>>>,
}

/// One worker's names and containers.
#[derive(Debug, Default)]
pub(crate) struct Model {
    names: BTreeMap<String, Vec<State>>,
    pub(crate) containers: BTreeMap<String, Container>,
}

impl Model {
    /// What the name certainly points at.
    pub(crate) fn image(&self, name: &str) -> Option<&str> {
        match self.names.get(name)?.as_slice() {
            [State::Is(digest)] => Some(digest),
            _ => None,
        }
    }

    /// Names that certainly point at something, with its digest.
    pub(crate) fn images(&self) -> Vec<(String, String)> {
        let certain = |name: &String| Some((name.clone(), self.image(name)?.to_owned()));
        self.names.keys().filter_map(certain).collect()
    }

    /// Names about which something is known.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// Containers that certainly exist, and in which nothing is under way.
    pub(crate) fn certain_containers(&self) -> Vec<String> {
        let certain =
            |(name, container): (&String, &Container)| container.certain.then(|| name.clone());
        self.containers.iter().filter_map(certain).collect()
    }

    /// An operation has set the name so. If another one may be under way, that may come later.
    pub(crate) fn set(&mut self, name: &str, state: State) {
        let states = self.names.entry(name.to_owned()).or_default();
        if states.len() == 1 {
            states.clear();
        }
        states.push(state);
    }

    /// An operation that would have set the name so was cut.
    pub(crate) fn may_set(&mut self, name: &str, state: State) {
        let states = self.names.entry(name.to_owned());
        let states = states.or_insert_with(|| vec![State::Absent]);
        // Twice if need be: what is under way may still undo what comes next.
        states.push(state);
    }

    /// Either of both.
    pub(crate) fn did(&mut self, done: bool, name: &str, state: State) {
        match done {
            true => self.set(name, state),
            false => self.may_set(name, state),
        }
    }

    /// Compares a name with what was seen of it.
    pub(crate) fn sees(&self, name: &str, seen: Option<&str>) -> Result<()> {
        let Some(states) = self.names.get(name) else {
            ensure!(seen.is_none(), "{name} is there: nobody made it");
            return Ok(());
        };
        let admitted = states.iter().any(|state| state.admits(seen));
        ensure!(admitted, "{name} is {seen:?}, and may be {states:?}");
        Ok(())
    }

    /// The same, when nothing is under way: what was seen is what it is.
    pub(crate) fn settle(&mut self, name: &str, seen: Option<&str>) -> Result<()> {
        self.sees(name, seen)?;
        match seen {
            Some(seen) => {
                let state = State::Is(seen.to_owned());
                self.names.insert(name.to_owned(), vec![state]);
            }
            None => drop(self.names.remove(name)),
        }
        Ok(())
    }

    /// Compares a list of this worker's names with what must, and what may, be there.
    pub(crate) fn sees_all(&self, seen: &BTreeMap<String, String>) -> Result<()> {
        for name in self.names.keys().chain(seen.keys()) {
            self.sees(name, seen.get(name).map(String::as_str))?;
        }
        Ok(())
    }

    pub(crate) fn container(&mut self, name: &str) -> Result<&mut Container> {
        self.containers.get_mut(name).context("no such container")
    }

    /// Whether a container of this worker's may be of this image.
    pub(crate) fn is_used(&self, image: &str) -> bool {
        self.containers
            .values()
            .any(|container| container.image == image)
    }

    /// Compares a file with what was seen of it.
    pub(crate) fn sees_file(&self, name: &str, file: &str, seen: Option<&[u8]>) -> Result<()> {
        let container = self.containers.get(name).context("no such container")?;
        let possible = container.files.get(file).map_or(&[None][..], Vec::as_slice);
        let admits = |seed: &Option<u64>| match (seed, seen) {
            (Some(seed), Some(bytes)) => bytes == content(*seed),
            (None, None) => true,
            _ => false,
        };
        if !possible.iter().any(admits) {
            let length = seen.map(<[u8]>::len);
            bail!("{name}:/{file} has {length:?} bytes, and may be of {possible:?}");
        }
        Ok(())
    }
}

/// What a file of this seed holds.
pub(crate) fn content(seed: u64) -> Vec<u8> {
    let size = usize::try_from(seed % 17).unwrap_or_default() * 20_000 + 1;
    strata_tests::layer::noise(seed, size)
}
