//! Who decodes and who waits.

use super::*;

#[tokio::test]
async fn a_decoder_with_much_memory_waits_until_there_is_room() {
    for (magic, waits) in [
        (&[0x28, 0xb5, 0x2f, 0xfd][..], true),
        (b"\xfd7zXZ\0", true),
        (&[0x1f, 0x8b, 8], false),
        (b"BZh9", false),
        (b"plain", false),
    ] {
        let given = Arc::new(Given::default());
        let decoders = Arc::new(Semaphore::new(0));
        let never = || Err(types::Error::Cancelled);
        let failed = |_| types::Error::Cancelled;
        let feeder = Feeder {
            given: Arc::clone(&given),
            steps: Steps::new(never, failed, || false),
            decoders: Arc::clone(&decoders),
        };
        let mut head = magic.to_vec();
        head.resize(HEAD, 0);
        {
            let mut state = given.state();
            state.bytes.extend_from_slice(&head);
            state.begun = true;
        }
        feeder.goes_on();
        assert_eq!(given.is_ready(), !waits, "{magic:x?}");
        decoders.add_permits(1);
        while !given.is_ready() {
            tokio::task::yield_now().await;
        }
        let used = 1 - decoders.available_permits();
        assert_eq!(used, usize::from(waits), "{magic:x?}");
        drop(Input {
            given,
            current: Bytes::new(),
        });
        assert_eq!(decoders.available_permits(), 1, "{magic:x?}");
    }
}
