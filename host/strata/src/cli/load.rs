//! `strata load`.

use strata::Engine;
use strata::types::{Loaded, Platform};

use super::arguments::Load;
use super::input::Input;
use super::shown::Shown;
use super::terminal::{Terminal, printable};
use super::wording::Work;
use super::{Outcome, machine};

/// Loads an archive and prints what was in it, as docker does.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Load,
    platforms: Vec<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.printing.format;
    let shown = Shown::new(Work::Load, format, arguments.quiet, terminal);
    let loaded = async {
        let input = Input::open(arguments.input.as_deref(), terminal).await?;
        let archive = shown.meter(input.size).around(input.reader);
        Ok(engine.load(archive, platforms, shown.listener()).await?)
    }
    .await;
    shown.conclude(
        loaded,
        |images| machine::loaded(images),
        |images| text(images),
    )?;
    Ok(Outcome::Done)
}

fn text(images: &[Loaded]) -> String {
    let lines = images.iter().map(|image| match &image.name {
        Some(name) => format!("Loaded image: {}\n", printable(name)),
        None => format!("Loaded image ID: {}\n", image.id),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_by_name_or_else_by_id() {
        let image = |name: Option<&str>| Loaded {
            name: name.map(Into::into),
            id: "sha256:00".into(),
        };
        let text = text(&[image(Some("alpine:latest")), image(None)]);
        let expected = "Loaded image: alpine:latest\nLoaded image ID: sha256:00\n";
        assert_eq!(text, expected);
    }
}
