//! Compare-and-swap, all or nothing, generations.

use strata_store::backend::*;
use strata_store::{Change, Error, Expectation};

use super::{Fixture, remove, set, set_if, target};

#[tokio::test]
async fn expectations_guard_changes() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    let absent = || Expectation::Absent;
    f.store
        .apply(vec![set_if("x", b"a", absent())], None)
        .await
        .unwrap();
    for expected in [absent(), Expectation::Target(b.clone())] {
        let result = f.store.apply(vec![set_if("x", b"b", expected)], None).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
    }
    let missing = set_if("y", b"b", Expectation::Target(a.clone()));
    assert!(matches!(
        f.store.apply(vec![missing], None).await,
        Err(Error::Conflict(_))
    ));
    f.store
        .apply(vec![set_if("x", b"b", Expectation::Target(a))], None)
        .await
        .unwrap();
    assert_eq!(f.images().await, [("x".to_string(), b)]);
}

#[tokio::test]
async fn changes_apply_all_or_none() {
    let f = Fixture::new();
    let a = f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    let before = f.store.generation().unwrap();
    let changes = vec![
        set("y", b"a"),
        remove("x"),
        set_if("y", b"a", Expectation::Absent),
    ];
    assert!(matches!(
        f.store.apply(changes, None).await,
        Err(Error::Conflict(_))
    ));
    assert_eq!(f.images().await, [("x".to_string(), a)]);
    assert_eq!(f.store.generation().unwrap(), before);
}

#[tokio::test]
async fn a_target_must_be_in_the_store_with_its_size() {
    let f = Fixture::new();
    f.blob(b"here").await;
    let result = f.store.apply(vec![set("x", b"not here")], None).await;
    assert!(matches!(result, Err(Error::NotFound(_))), "{result:?}");
    let mut lying = set("x", b"here");
    if let Change::Set { target, .. } = &mut lying {
        target.size += 1;
    }
    assert!(matches!(
        f.store.apply(vec![lying], None).await,
        Err(Error::Invalid(_))
    ));
}

#[tokio::test]
async fn malformed_names_are_refused() {
    let f = Fixture::new();
    f.blob(b"a").await;
    let long = "n".repeat(4097);
    for (namespace, name) in [
        ("Images", "x"),
        ("", "x"),
        ("images", ""),
        ("images", "a\nb"),
        ("images", &long),
    ] {
        let change = Change::Set {
            namespace: namespace.into(),
            name: name.into(),
            target: target(b"a"),
            labels: vec![],
            expected: Expectation::Any,
        };
        let result = f.store.apply(vec![change], None).await;
        assert!(
            matches!(result, Err(Error::Invalid(_))),
            "{namespace:?} {name:?}"
        );
    }
}

#[tokio::test]
async fn generation_grows_with_changes_and_guards_apply() {
    let f = Fixture::new();
    f.blob(b"a").await;
    let first = f.store.generation().unwrap();
    let second = f
        .store
        .apply(vec![set("x", b"a")], Some(first))
        .await
        .unwrap();
    assert!(second > first);
    assert_eq!(f.store.generation().unwrap(), second);
    let stale = f.store.apply(vec![remove("x")], Some(first)).await;
    assert!(matches!(stale, Err(Error::Conflict(_))));
    // Removing what is not there changes nothing.
    assert_eq!(
        f.store
            .apply(vec![remove("y")], Some(second))
            .await
            .unwrap(),
        second
    );
}

#[tokio::test]
async fn names_are_in_order_with_labels_and_survive_a_restart() {
    let f = Fixture::new();
    f.blob(b"a").await;
    let labelled = Change::Set {
        namespace: "images".into(),
        name: "b".into(),
        target: target(b"a"),
        labels: vec![
            ("z".into(), "1".into()),
            ("k".into(), "2".into()),
            ("z".into(), "3".into()),
        ],
        expected: Expectation::Any,
    };
    let generation = f
        .store
        .apply(vec![set("c", b"a"), labelled, set("a", b"a")], None)
        .await;
    let f = f.reopen();
    let (read_at, names) = f.store.names("images").await.unwrap();
    assert_eq!(read_at, generation.unwrap());
    assert_eq!(
        names.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(
        names[1].labels,
        [("k".into(), "2".into()), ("z".into(), "3".into())]
    );
    let (_, again) = f.store.names("images").await.unwrap();
    assert!(
        std::sync::Arc::ptr_eq(&names, &again),
        "an unchanged name space is not read again"
    );
    assert!(f.store.names("other").await.unwrap().1.is_empty());
}

#[tokio::test]
async fn setting_again_keeps_the_creation_time() {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.blob(b"b").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    let first = f.store.names("images").await.unwrap().1[0].clone();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    f.store.apply(vec![set("x", b"b")], None).await.unwrap();
    let second = f.store.names("images").await.unwrap().1[0].clone();
    assert_eq!(second.created, first.created);
    assert!(second.updated > first.updated);
}

#[tokio::test]
async fn every_name_space_with_a_name_is_told() {
    let f = Fixture::new();
    f.blob(b"a").await;
    assert!(f.store.namespaces().await.unwrap().is_empty());
    for space in ["unknown", "build-cache", "images", "unknown"] {
        for name in ["x", "y"] {
            let change = Change::Set {
                namespace: space.into(),
                name: name.into(),
                target: super::target(b"a"),
                labels: vec![],
                expected: Expectation::Any,
            };
            f.store.apply(vec![change], None).await.unwrap();
        }
    }
    let spaces = f.store.namespaces().await.unwrap();
    assert_eq!(spaces, ["build-cache", "images", "unknown"]);
}
