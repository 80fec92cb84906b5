//! How long one is waited for.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A wait with an end. Costs a timer only while there is nothing else to do, and one in a while.
pub(super) struct Patience {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Waits for at most `limit` at a time.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }

    /// What was waited for came.
    pub(super) fn renew(&mut self) {
        self.since = None;
    }

    /// Ready when it has been waited for long enough; to be asked whenever nothing came.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.since.get_or_insert_with(Instant::now) + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            std::task::ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn each_wait_has_the_whole_time() {
        let limit = Duration::from_secs(600);
        let mut patience = Patience::new(limit);
        let is_over = async |patience: &mut Patience| {
            poll_fn(|cx| Poll::Ready(patience.poll_end(cx).is_ready())).await
        };
        assert!(!is_over(&mut patience).await);
        // As if the time had passed.
        patience.since = patience.since.map(|since| since - limit);
        patience.timer = None;
        poll_fn(|cx| patience.poll_end(cx)).await;
        patience.renew();
        assert!(!is_over(&mut patience).await);
    }
}
