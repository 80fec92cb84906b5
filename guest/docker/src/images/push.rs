//! `POST /images/{name}/push`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImagePush>

use strata_engine::{
    BlobProgress, Completed, Event, Host, Phase, Progress, PushOptions, Substituted,
};
use strata_http::{Failures, Lines, Output};
use strata_oci::Reference;

use super::{platform_json, tagged};
use crate::{
    Answer, Asked, auth,
    failure::Failure,
    line::{Aux, Detail, Line},
};

/// Pushes, telling the client how far it is.
///
/// # Errors
/// 400 for parameters. No others: the first line goes out before anything is looked up.
pub(crate) async fn push<H: Host, W: Output>(asked: &Asked<'_, H>, output: &mut W) -> Answer {
    let options = options(asked)?;
    let lines = Lines::default();
    let repository = options.reference.repository();
    lines.push(Line::plain(format!(
        "The push refers to repository [{repository}]"
    )));
    let display = Display(&lines);
    let work = async {
        let pushed = asked.engine.push(&options, &display).await;
        pushed.map(drop)
    };
    let headers = asked.growing("application/json");
    lines
        .follow(work, Failures::InStream, headers, output)
        .await??;
    Ok(None)
}

fn options<H: Host>(asked: &Asked<'_, H>) -> Result<PushOptions, Failure> {
    let reference = match asked.query.text("tag") {
        "" => Reference::parse(asked.name).map_err(|error| Failure::invalid(error.to_string()))?,
        tag => tagged(asked.name, tag)?,
    };
    let platform = match asked.version.at_least(46) {
        true => platform_json(asked.query.text("platform"))?,
        false => None,
    };
    Ok(PushOptions {
        all_tags: reference.is_name_only(),
        platform,
        auth: auth::credentials(asked.headers, &reference),
        headers: auth::meta_headers(asked.headers),
        reference,
    })
}

/// Words events as dockerd does.
struct Display<'a>(&'a Lines<Line>);

impl Progress for Display<'_> {
    fn report(&self, event: Event) {
        match event {
            // The repository was named by the first line, tags are by their last.
            Event::Resolved(_) => {}
            Event::Blob(blob) => self.blob(&blob),
            Event::Substituted(substituted) => self.substituted(*substituted),
            Event::Retry(retry) => self.0.push(Line::retry(&retry)),
            Event::Warning(text) => self.0.push(Line::warning(&text)),
            Event::Completed(completed) => self.completed(&completed),
            // Nothing is made by a push.
            Event::Content(_) => {}
        }
    }
}

impl Display<'_> {
    fn substituted(&self, Substituted { index, manifest }: Substituted) {
        self.0.push(Line::aux(Aux::Substituted {
            manifest_pushed_instead_of_index: true,
            original_index: Box::new(index),
            selected_manifest: Box::new(manifest),
        }));
    }

    fn blob(&self, blob: &BlobProgress) {
        let (status, detail) = match blob.phase {
            Phase::Queued => ("Waiting", Detail::PLAIN),
            // A count of nothing would show as a line without numbers.
            Phase::Uploading if blob.current == 0 => return,
            Phase::Uploading => ("Pushing", Detail::count(blob.current, blob.total)),
            Phase::Uploaded => ("Pushed", Detail::PLAIN),
            Phase::AlreadyExists => ("Layer already exists", Detail::PLAIN),
            Phase::Mounted => {
                let from = blob.mounted_from.as_deref().unwrap_or_default();
                let status = format!("Mounted from {from}");
                self.0
                    .push(Line::layer(blob.digest.short(), status, Detail::PLAIN));
                return;
            }
            Phase::Unavailable => ("Unavailable", Detail::PLAIN),
            // Said by the event of its own that comes with it.
            Phase::Retrying => return,
            // Of no concern to a push.
            Phase::Downloading | Phase::Downloaded | Phase::Verifying => return,
        };
        self.0
            .push(Line::layer(blob.digest.short(), status, detail));
    }

    /// What must end each push, and the same for programs: only dockerd's older store sends that, but SDKs
    /// wait for it.
    fn completed(&self, completed: &Completed) {
        let Completed {
            reference,
            digest,
            size,
            ..
        } = completed;
        let name = reference.tag().unwrap_or(digest.as_str());
        self.0.push(Line::plain(format!(
            "{name}: digest: {digest} size: {size}"
        )));
        self.0.push(Line::aux(Aux::Pushed {
            tag: reference.tag().unwrap_or_default().to_owned(),
            digest: digest.clone(),
            size: *size,
        }));
    }
}
