//! Content of files, out of the layers it lies in.

use std::mem;

use strata_oci::layer::{Content, Sparse};

use super::root::{Layer, Root};
use crate::{ArchiveSink, Error, Result, Store, cursor::Cursor};

/// Content from this size on goes from the store to the sink without passing through
/// here, where the layer allows it. For less, opening another stream costs more.
const DIRECT_BYTES: u64 = 256 << 10;
/// What is read and dropped rather than opening another stream behind it.
const GAP_BYTES: u64 = 256 << 10;
/// Bytes gathered before the sink gets them.
const WRITE_BYTES: usize = 64 << 10;

/// Zeros made at a time.
const ZEROS: usize = 64 << 10;
/// Bytes of holes that one operation writes into the store. They are one byte there that
/// was none in the layer or tar it came from, so that a few bytes could fill the disk.
pub(crate) const MAX_HOLES: u64 = 16 << 30;

/// A part of a file.
pub(crate) enum Span {
    /// So many zeros.
    Zeros(u64),
    /// What lies there.
    Stored(Content),
}

/// What a file is made of, in order.
pub(crate) fn spans(content: Content, sparse: Option<&Sparse>) -> Vec<Span> {
    let Some(sparse) = sparse else {
        return vec![Span::Stored(content)];
    };
    let mut spans = Vec::new();
    let (mut position, mut offset) = (0, content.offset);
    for fragment in &sparse.fragments {
        spans.push(Span::Zeros(fragment.offset.saturating_sub(position)));
        spans.push(Span::Stored(Content {
            offset,
            size: fragment.length,
            ..content
        }));
        position = fragment.offset.saturating_add(fragment.length);
        offset = offset.saturating_add(fragment.length);
    }
    spans.push(Span::Zeros(sparse.size.saturating_sub(position)));
    spans
}

/// So many zeros, in pieces.
pub(crate) fn zeros(count: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut rest = count;
    std::iter::from_fn(move || {
        let piece = usize::try_from(rest).map_or(ZEROS, |rest| rest.min(ZEROS));
        rest = rest.saturating_sub(piece as u64);
        (piece > 0).then(|| vec![0; piece])
    })
}

/// Counts holes that are written into the store.
#[derive(Default)]
pub(crate) struct Filled(u64);

impl Filled {
    /// Counts those of one more file.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] beyond [`MAX_HOLES`].
    pub(crate) fn add(&mut self, sparse: &Sparse) -> Result<()> {
        self.0 = self.0.saturating_add(sparse.holes());
        match self.0 > MAX_HOLES {
            true => Err(Error::QuotaExceeded(format!(
                "sparse files with holes of more than {MAX_HOLES} bytes would be written out"
            ))),
            false => Ok(()),
        }
    }
}

/// A sink that small writes are gathered for.
pub(crate) struct Gathering<'a, W> {
    sink: &'a mut W,
    pending: Vec<u8>,
}

impl<'a, W> Gathering<'a, W> {
    /// Gathers for `sink`.
    pub(crate) fn new(sink: &'a mut W) -> Self {
        let pending = Vec::new();
        Self { sink, pending }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// As the sink.
    pub(crate) async fn write<B>(&mut self, bytes: Vec<u8>) -> Result<()>
    where
        W: ArchiveSink<B>,
    {
        if bytes.len() >= WRITE_BYTES {
            self.flush().await?;
            return self.sink.write(bytes).await;
        }
        self.pending.extend(bytes);
        match self.pending.len() >= WRITE_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Passes on what was gathered.
    ///
    /// # Errors
    /// As the sink.
    pub(crate) async fn flush<B>(&mut self) -> Result<()>
    where
        W: ArchiveSink<B>,
    {
        match self.pending.is_empty() {
            true => Ok(()),
            false => self.sink.write(mem::take(&mut self.pending)).await,
        }
    }
}

/// Reads content of layers. Going on in one layer is cheap, going back in a compressed one
/// is not.
pub(crate) struct Contents<'a, S: Store> {
    store: &'a S,
    root: &'a Root,
    open: Option<Open<S::Body>>,
}

/// A layer being read.
struct Open<B> {
    layer: u32,
    body: Cursor<B>,
    /// Where in the uncompressed layer the last chunk ends.
    end: u64,
}

impl<B> Open<B> {
    /// Where in the uncompressed layer what comes next lies.
    fn position(&self) -> u64 {
        self.end.saturating_sub(self.body.rest().len() as u64)
    }
}

impl<'a, S: Store> Contents<'a, S> {
    /// Reads content of the files of `root`.
    pub(crate) fn new(store: &'a S, root: &'a Root) -> Self {
        let open = None;
        Self { store, root, open }
    }

    /// Passes all of a file's content on.
    ///
    /// # Errors
    /// As the store's reads and the sink; [`Error::ManifestInvalid`] if the layer has
    /// fewer bytes than its entries say.
    pub(crate) async fn copy<W: ArchiveSink<S::Body>>(
        &mut self,
        content: Content,
        sparse: Option<&Sparse>,
        sink: &mut Gathering<'_, W>,
    ) -> Result<()> {
        for span in spans(content, sparse) {
            match span {
                Span::Stored(content) => self.copy_stored(content, sink).await?,
                Span::Zeros(count) => {
                    for piece in zeros(count) {
                        sink.write(piece).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn copy_stored<W: ArchiveSink<S::Body>>(
        &mut self,
        content: Content,
        sink: &mut Gathering<'_, W>,
    ) -> Result<()> {
        if content.size == 0 {
            return Ok(());
        }
        let layer = self.layer(content)?;
        if layer.is_plain && content.size >= DIRECT_BYTES {
            let length = Some(content.size);
            let body = self.store.read(&layer.digest, content.offset, length);
            let body = body.await?;
            sink.flush().await?;
            return sink.sink.copy(body, content.size).await;
        }
        self.seek(content).await?;
        let mut remaining = content.size;
        while remaining > 0 {
            let piece = self.piece(remaining).await?;
            remaining = remaining.saturating_sub(piece.len() as u64);
            sink.write(piece).await?;
        }
        Ok(())
    }

    /// Goes to the start of a file's content, which [`Contents::piece`] then reads.
    ///
    /// # Errors
    /// As [`Contents::copy`].
    pub(crate) async fn seek(&mut self, content: Content) -> Result<()> {
        let Layer { digest, is_plain } = self.layer(content)?.clone();
        let target = content.offset;
        let near = self.open.as_ref().is_some_and(|open| {
            let ahead = target.checked_sub(open.position());
            let near = |ahead: u64| ahead <= GAP_BYTES || !is_plain;
            open.layer == content.layer && ahead.is_some_and(near)
        });
        if !near {
            let start = if is_plain { target } else { 0 };
            let body = self.store.read(&digest, start, None).await?;
            let body = match is_plain {
                true => body,
                false => self.store.decompress(body).await?,
            };
            self.open = Some(Open {
                layer: content.layer,
                body: Cursor::new(body),
                end: start,
            });
        }
        loop {
            let open = self.open.as_mut().ok_or_else(cut)?;
            let ahead = target.saturating_sub(open.position());
            if ahead == 0 {
                return Ok(());
            }
            let rest = open.body.rest().len();
            match usize::try_from(ahead) {
                Ok(ahead) if ahead <= rest => open.body.use_up(ahead),
                _ => self.advance().await?,
            }
        }
    }

    /// The next bytes, at most `limit` and at least one if that is not 0.
    ///
    /// # Errors
    /// As [`Contents::copy`].
    pub(crate) async fn piece(&mut self, limit: u64) -> Result<Vec<u8>> {
        loop {
            let open = self.open.as_mut().ok_or_else(cut)?;
            let rest = open.body.rest().len();
            if rest == 0 && limit > 0 {
                self.advance().await?;
                continue;
            }
            let length = usize::try_from(limit).map_or(rest, |it| it.min(rest));
            open.body.use_up(length);
            return Ok(open.body.last(length));
        }
    }

    /// The next chunk of the layer; what is left of the last one is dropped.
    async fn advance(&mut self) -> Result<()> {
        let open = self.open.as_mut().ok_or_else(cut)?;
        if !open.body.more().await? {
            return Err(cut());
        }
        open.end = open.end.saturating_add(open.body.rest().len() as u64);
        Ok(())
    }

    fn layer(&self, content: Content) -> Result<&'a Layer> {
        let number = usize::try_from(content.layer).ok();
        let layer = number.and_then(|number| self.root.layers.get(number));
        layer.ok_or_else(|| Error::Internal("content in a layer that is not there".to_owned()))
    }
}

/// A layer that is not what it lists.
pub(crate) fn cut() -> Error {
    Error::ManifestInvalid("a layer has fewer bytes than its entries say".to_owned())
}
