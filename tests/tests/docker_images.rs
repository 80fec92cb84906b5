//! The unmodified docker CLI lists, tags, removes and prunes images through `strata serve`.

use anyhow::Result;
use serde_json::{Value, json};
use strata_tests::house::{House, package_image};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Compression, Layer};
use strata_tests::store;

#[tokio::test(flavor = "multi_thread")]
async fn images_shows_ids_digests_and_json() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("shown", "1", &image).await?;
    let repository = reference.trim_end_matches(":1");

    assert_eq!(house.ok(&["images", "-q"]).await?, image.short_id());
    assert_eq!(
        house.ok(&["images", "-q", "--no-trunc"]).await?,
        image.digest()
    );
    let digests = house.ok(&[
        "images",
        "--digests",
        "--format",
        "{{.Repository}} {{.Tag}} {{.Digest}} {{.ID}}",
    ]);
    let expected = format!("{repository} 1 {} {}", image.digest(), image.short_id());
    assert_eq!(digests.await?, expected);
    let table = house.ok(&["images"]).await?;
    let heading: Vec<&str> = table
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        heading,
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    );
    let row: Value = serde_json::from_str(&house.ok(&["images", "--format", "json"]).await?)?;
    assert_eq!(row["Repository"], repository);
    assert_eq!(row["Tag"], "1");
    assert_eq!(row["ID"], image.short_id());
    assert!(
        row["CreatedAt"]
            .as_str()
            .unwrap_or_default()
            .starts_with("2024-01-02"),
        "{row}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn images_filters_by_reference_label_age_and_dangling() -> Result<()> {
    let house = House::new().await?;
    let made = |name: &str, day: &str, label: &str| -> Result<Image> {
        let layer = Layer::from_text("name", name, Compression::Gzip)?;
        let labels = json!({"tier": label, "all": ""});
        Ok(Image::builder(Schema::Oci)
            .created(day)
            .layer(layer, "COPY name /")
            .labels(labels)
            .build())
    };
    let old = house
        .pulled(
            "team/old",
            "1",
            &made("old", "2021-01-01T00:00:00Z", "back")?,
        )
        .await?;
    let mid = house
        .pulled(
            "team/mid",
            "1",
            &made("mid", "2022-01-01T00:00:00Z", "front")?,
        )
        .await?;
    let new = house
        .pulled(
            "other/new",
            "1",
            &made("new", "2023-01-01T00:00:00Z", "front")?,
        )
        .await?;
    let host = &house.registry.host;

    for (filter, expected) in [
        (format!("reference={host}/team/*"), vec![&mid, &old]),
        (format!("reference={host}/*/*:1"), vec![&new, &mid, &old]),
        ("reference=nothing*".to_owned(), vec![]),
        ("label=tier=front".to_owned(), vec![&new, &mid]),
        ("label=all".to_owned(), vec![&new, &mid, &old]),
        (format!("before={mid}"), vec![&old]),
        (format!("since={mid}"), vec![&new]),
        ("dangling=true".to_owned(), vec![]),
        ("dangling=false".to_owned(), vec![&new, &mid, &old]),
    ] {
        let mut expected: Vec<String> = expected.into_iter().cloned().collect();
        expected.sort();
        assert_eq!(
            house.images(&["--filter", &filter]).await?,
            expected,
            "--filter {filter}"
        );
    }
    let both = ["--filter", "label=tier=front", "--filter", "label=all"];
    assert_eq!(house.images(&both).await?.len(), 2);
    let pattern = format!("{host}/team/old");
    assert_eq!(house.images(&[&pattern]).await?, [old.as_str()]);
    let refused = house.failed(&["images", "--filter", "nonsense=1"]).await?;
    assert_eq!(
        refused,
        "Error response from daemon: invalid filter 'nonsense'"
    );
    let missing = house
        .failed(&["images", "--filter", "before=nosuch"])
        .await?;
    assert!(
        missing.contains("No such image: nosuch:latest"),
        "{missing}"
    );

    // A moved tag leaves its old image without a name.
    house.pulled("team/old", "1", &small("moved")?).await?;
    assert_eq!(
        house.images(&["--filter", "dangling=true"]).await?,
        ["<none>:<none>"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn history_lists_steps_newest_first() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("history", "1", &image).await?;
    let format = "{{.ID}}|{{.CreatedBy}}";
    let printed = house
        .ok(&["history", "--no-trunc", "--format", format, &reference])
        .await?;
    let expected = format!(
        "{}|CMD [\"hostname\"]\n<missing>|COPY hostname /\n<missing>|COPY base-files /",
        image.digest()
    );
    assert_eq!(printed, expected);
    let sizes = house
        .ok(&[
            "history",
            "--human=false",
            "--format",
            "{{.Size}}",
            &reference,
        ])
        .await?;
    let sizes: Vec<u64> = sizes.lines().map(str::parse).collect::<Result<_, _>>()?;
    assert_eq!(sizes[0], 0);
    assert!(sizes[1] > 0 && sizes[2] > 0, "{sizes:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_adds_a_name_and_rmi_untags_before_it_deletes() -> Result<()> {
    let house = House::new().await?;
    let image = small("tagged")?;
    let reference = house.pulled("tagged", "1", &image).await?;
    assert_eq!(house.ok(&["tag", &reference, "mine:v1"]).await?, "");
    assert_eq!(house.ok(&["tag", image.short_id(), "mine:v2"]).await?, "");
    assert_eq!(
        house.images(&[]).await?,
        [reference.as_str(), "mine:v1", "mine:v2"]
    );

    let refused = house.failed(&["rmi", image.short_id()]).await?;
    let expected = format!(
        "Error response from daemon: conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        image.short_id()
    );
    assert_eq!(refused, expected);
    assert_eq!(house.ok(&["rmi", "mine:v1"]).await?, "Untagged: mine:v1");
    assert_eq!(
        house.ok(&["rmi", &reference]).await?,
        format!("Untagged: {reference}")
    );
    let gone = house.ok(&["rmi", "mine:v2"]).await?;
    assert_eq!(
        gone,
        format!("Untagged: mine:v2\nDeleted: {}", image.digest())
    );
    assert_eq!(house.ok(&["images", "-aq"]).await?, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rmi_by_id_with_force_takes_every_name() -> Result<()> {
    let house = House::new().await?;
    let image = small("forced")?;
    let reference = house.pulled("forced", "1", &image).await?;
    house.ok(&["tag", &reference, "mine:v1"]).await?;
    let printed = house.ok(&["rmi", "-f", image.short_id()]).await?;
    let mut lines: Vec<&str> = printed.lines().collect();
    let last = lines.pop();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            format!("Untagged: {reference}").as_str(),
            "Untagged: mine:v1"
        ]
    );
    assert_eq!(last, Some(format!("Deleted: {}", image.digest()).as_str()));
    assert_eq!(house.ok(&["images", "-aq"]).await?, "");
    let missing = house.failed(&["rmi", "nosuch"]).await?;
    assert!(
        missing.contains("No such image: nosuch:latest"),
        "{missing}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_takes_the_nameless_and_with_all_everything() -> Result<()> {
    let house = House::new().await?;
    let nothing = house.ok(&["image", "prune", "-f"]).await?;
    assert_eq!(nothing, "Total reclaimed space: 0B");

    let first = package_image(Schema::Oci, Compression::Gzip)?;
    house.pulled("moving", "1", &first).await?;
    let second = small("second")?;
    let reference = house.pulled("moving", "1", &second).await?;
    let printed = house.ok(&["image", "prune", "-f"]).await?;
    assert!(printed.starts_with("Deleted Images:\n"), "{printed}");
    assert!(
        printed.contains(&format!("deleted: {}", first.digest())),
        "{printed}"
    );
    assert!(!printed.ends_with("Total reclaimed space: 0B"), "{printed}");
    assert_eq!(house.images(&["-a"]).await?, [reference.as_str()]);

    let printed = house.ok(&["image", "prune", "-af"]).await?;
    assert!(
        printed.contains(&format!("untagged: {reference}")),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("deleted: {}", second.digest())),
        "{printed}"
    );
    assert_eq!(house.ok(&["images", "-aq"]).await?, "");
    assert_eq!(store::blobs(house.store.path())?, Vec::<String>::new());
    Ok(())
}
