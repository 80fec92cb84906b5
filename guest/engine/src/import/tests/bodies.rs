//! Bodies of every compression, whole and torn.

use futures::FutureExt as _;
use strata_oci::{archive::Compression, media_type};

use super::*;
use crate::{Error, memory::codec::compressed};

const ALL: [Compression; 5] = [
    Compression::Plain,
    Compression::Gzip,
    Compression::Zstd,
    Compression::Bzip2,
    Compression::Xz,
];

#[test]
fn what_layers_may_be_is_stored_as_it_came_and_the_rest_plain() {
    let plain = root();
    for compression in ALL {
        let bench = Bench::new();
        let bytes = compressed(compression, &plain);
        let id = bench.import("a", &bytes).unwrap();
        let (manifest, config) = bench.image(&id);
        let (media_type, stored) = match compression {
            Compression::Gzip => (media_type::OCI_LAYER_GZIP, &bytes),
            Compression::Zstd => (media_type::OCI_LAYER_ZSTD, &bytes),
            _ => (media_type::OCI_LAYER, &plain),
        };
        let [layer] = &manifest.layers[..] else {
            panic!("{compression:?}");
        };
        assert_eq!(layer.media_type, media_type, "{compression:?}");
        assert_eq!(layer.size, stored.len() as u64, "{compression:?}");
        assert!(bench.store.bytes(&layer.digest).as_ref() == Some(stored));
        assert_eq!(config.rootfs.diff_ids, [Digest::sha256(&plain)]);
        // Layer, config, manifest, and nothing that was only on the way.
        assert_eq!(bench.store.len(), 3, "{compression:?}");
        assert_eq!(
            bench.store.target_of("docker.io/library/a:latest"),
            Some(id)
        );
    }
}

#[test]
fn a_torn_body_leaves_nothing() {
    let plain = root();
    for compression in ALL {
        let bytes = compressed(compression, &plain);
        let ends = match compression {
            // In headers and in contents; between them nobody can tell.
            Compression::Plain => vec![6, 100, 600, 1027, 3200, 3600, 6583],
            // Nothing at all is no torn body.
            _ => (1..bytes.len())
                .step_by(97)
                .chain([6, bytes.len() - 1])
                .collect(),
        };
        for end in ends {
            let bench = Bench::new();
            let case = format!("{end} of {compression:?}");
            let error = bench.import("a", &bytes[..end]).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument(_)), "{case}");
            bench.assert_empty(&case);
        }
    }
}

#[test]
fn padding_of_zeros_is_part_of_a_layer() {
    let mut plain = root();
    plain.resize(plain.len() + 10_240 + 100, 0);
    for compression in ALL {
        let bench = Bench::new();
        let id = bench.import("a", &compressed(compression, &plain)).unwrap();
        let (_, config) = bench.image(&id);
        assert_eq!(config.rootfs.diff_ids, [Digest::sha256(&plain)]);
    }
}

#[test]
fn a_tar_without_entries_is_one() {
    let bench = Bench::new();
    assert!(bench.import("a", &tar(&[])).is_ok());
}

#[test]
fn large_content_goes_in_pieces_and_is_seen_to_come() {
    let bench = Bench::new();
    let bytes = tar(&[file("large", &vec![1; 9 << 20])]);
    let id = bench.import("a", &bytes).unwrap();
    let (manifest, _) = bench.image(&id);
    assert!(bench.store.bytes(&manifest.layers[0].digest) == Some(bytes.clone()));
    let size = bytes.len();
    // A look at the clock takes 30 ms here, and each piece has one.
    assert_eq!(
        bench.events.brief(),
        [
            "downloading 0/0".to_owned(),
            format!("downloading {}/0", 4 << 20),
            format!("downloading {}/0", 8 << 20),
            format!("downloaded {size}/{size}"),
            "completed a:latest true".to_owned(),
        ]
    );
}

#[test]
fn what_came_in_is_protected_until_it_has_a_name() {
    let bench = Bench::new();
    bench.store.before("apply", |store| {
        let blobs = store.blobs().now_or_never().unwrap().unwrap().into_iter();
        let blobs: Vec<Digest> = blobs.map(|(digest, _)| digest).collect();
        assert_eq!(blobs.len(), 3);
        let deleted = store.delete(&blobs, store.now()).now_or_never();
        assert_eq!(deleted, Some(Ok(Vec::new())));
    });
    let id = bench.import("a", &root()).unwrap();
    assert!(bench.store.has(&id));
}

#[test]
fn nothing_is_an_empty_file_system() {
    for compression in [None, Some(Compression::Gzip), Some(Compression::Xz)] {
        let bytes = compression.map_or(Vec::new(), |it| compressed(it, &[]));
        let bench = Bench::new();
        let id = bench.import("a", &bytes).unwrap();
        let (manifest, config) = bench.image(&id);
        let [layer] = manifest.layers.as_slice() else {
            panic!("{compression:?}: {manifest:?}");
        };
        let stored = bench.store.bytes(&layer.digest).unwrap();
        let plain = crate::memory::codec::decompressed(stored).unwrap();
        assert!(plain.iter().all(|byte| *byte == 0));
        assert_eq!(config.rootfs.diff_ids, [Digest::sha256(&plain)]);
    }
}
