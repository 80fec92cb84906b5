//! Gives memory back that a crowd needed.
//!
//! The C library keeps what was freed between what is still in use, and thousands of clients leave much of that.

use std::{fs, time::Duration};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Memory of which so much is resident is worth it: ordinary use has less.
const WORTH: u64 = 128 << 20;
/// What has to come of it so that it is tried again soon, and how many looks are passed over otherwise.
const GAIN: u64 = 8 << 20;
const PAUSE: u32 = 5;

/// Looks after it for as long as it is polled.
pub(super) async fn run() {
    let mut pause = 0_u32;
    loop {
        tokio::time::sleep(LOOK).await;
        let before = resident();
        if pause > 0 || before <= WORTH {
            pause = pause.saturating_sub(1);
            continue;
        }
        // It takes milliseconds, and locks of the allocator one after the other.
        let _ = tokio::task::spawn_blocking(trim).await;
        if resident() + GAIN > before {
            pause = PAUSE;
        }
    }
}

/// Bytes of memory this process has; 0 where the kernel does not say.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            let mut words = text.split(' ');
            words.nth(1)?.parse::<u64>().ok()
        });
    pages.unwrap_or_default() * rustix::param::page_size() as u64
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe interface")]
fn trim() {
    // SAFETY: it may be called at any time, from any thread; nothing in use is touched.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}
