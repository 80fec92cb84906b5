//! Names: changed together, guarded, in order.

use super::{Subject, names, put, set, target};
use crate::{Change, Error, Expectation, Store as _};

fn remove(name: &str, expected: Expectation) -> Change {
    Change::Remove {
        namespace: "images".to_owned(),
        name: name.to_owned(),
        expected,
    }
}

pub(super) async fn changes_apply_together_or_not_at_all<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let (any, absent) = (Expectation::Any, Expectation::Absent);
    let both = vec![
        set("a", target(&one, 3), absent.clone()),
        set("b", target(&one, 3), absent.clone()),
    ];
    let before = store.generation().unwrap();
    let after = store.apply(both, None).await.unwrap();
    assert!(after > before, "a change is told by the generation");
    assert_eq!(store.generation(), Ok(after));
    assert_eq!(names(&store).await, ["a", "b"]);
    // The second does not hold, so the first is not made.
    let changes = vec![
        remove("a", any.clone()),
        set("b", target(&one, 3), absent.clone()),
    ];
    let refused = store.apply(changes, None).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(names(&store).await, ["a", "b"]);
    let changes = vec![remove("a", any.clone()), set("c", target(&one, 3), absent)];
    store.apply(changes, None).await.unwrap();
    assert_eq!(names(&subject.open()).await, ["b", "c"]);
}

pub(super) async fn a_guard_that_does_not_hold_stops_a_change<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let two = put(&store, b"two", &lease).await;
    let set_first = vec![set("a", target(&one, 3), Expectation::Absent)];
    let generation = store.apply(set_first, None).await.unwrap();
    let is_one = || Expectation::Target(one.clone());
    let is_two = || Expectation::Target(two.clone());
    let to_two = |expected| set("a", target(&two, 3), expected);
    for (change, read_at, holds) in [
        (to_two(Expectation::Absent), None, false),
        (to_two(is_two()), None, false),
        (remove("a", is_two()), None, false),
        (remove("b", is_one()), None, false),
        (to_two(is_one()), Some(generation + 1), false),
        (to_two(is_one()), Some(generation), true),
        (remove("a", is_two()), None, true),
        (remove("a", Expectation::Any), None, true),
    ] {
        let shown = format!("{change:?} {read_at:?}");
        let applied = store.apply(vec![change], read_at).await;
        match holds {
            true => assert!(applied.is_ok(), "{shown}: {applied:?}"),
            false => assert!(matches!(applied, Err(Error::Conflict(_))), "{shown}"),
        }
    }
}

pub(super) async fn one_of_two_writers_wins<S: Subject>(subject: &S) {
    let (store, second) = (subject.open(), subject.open());
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let (read_by_first, _) = store.names("images").await.unwrap();
    let (read_by_second, _) = second.names("images").await.unwrap();
    let change = |name| vec![set(name, target(&one, 3), Expectation::Any)];
    let first = store.apply(change("a"), Some(read_by_first));
    let other = second.apply(change("b"), Some(read_by_second));
    let (first, other) = futures::future::join(first, other).await;
    let lost = [&first, &other].map(|it| matches!(it, Err(Error::Conflict(_))));
    assert!(lost[0] != lost[1], "{first:?} {other:?}");
    assert_eq!(names(&store).await.len(), 1);
    assert_eq!(names(&store).await, names(&second).await);
}

pub(super) async fn names_are_listed_with_what_they_have<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let labelled = |namespace: &str, name: &str, labels: &[(&str, &str)]| Change::Set {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        target: target(&one, 3),
        labels: labels
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        expected: Expectation::Any,
    };
    let changes = vec![
        labelled("images", "b", &[("k", "1"), ("l", "2")]),
        labelled("images", "a", &[]),
        labelled("others", "c", &[]),
    ];
    let generation = store.apply(changes, None).await.unwrap();
    let (read_at, listed) = store.names("images").await.unwrap();
    assert_eq!(read_at, generation);
    assert_eq!(names(&store).await, ["a", "b"], "in order");
    assert_eq!(listed[1].target, target(&one, 3));
    assert_eq!(listed[1].labels.len(), 2);
    assert_eq!(store.namespaces().await.unwrap(), ["images", "others"]);
    let change = vec![labelled("images", "b", &[("m", "3")])];
    store.apply(change, None).await.unwrap();
    let (_, again) = store.names("images").await.unwrap();
    let labels = [("m".to_owned(), "3".to_owned())];
    assert_eq!(again[1].labels, labels, "labels are replaced");
    assert_eq!(again[1].created, listed[1].created, "it is the same name");
}

pub(super) async fn a_name_needs_content<S: Subject>(subject: &S) {
    let store = subject.open();
    let lost = strata_oci::Digest::sha256(b"lost");
    let change = vec![set("a", target(&lost, 4), Expectation::Any)];
    let refused = store.apply(change, None).await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    assert!(names(&store).await.is_empty());
}
